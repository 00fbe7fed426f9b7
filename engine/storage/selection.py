"""Which storage the settings ask for."""

from __future__ import annotations

from typing import Literal

from engine.s3 import S3Options
from engine.settings import Settings, variables
from engine.storage.base import Storage
from engine.storage.directory import DirectoryStorage
from engine.storage.inline import InlineStorage
from engine.storage.s3 import S3Storage

_OPTIONS = {  # of S3Options, to the setting
    "bucket": "s3_bucket",
    "endpoint_url": "s3_endpoint_url",
    "region": "s3_region",
    "access_key_id": "s3_access_key_id",
    "secret_access_key": "s3_secret_access_key",
    "session_token": "s3_session_token",
    "prefix": "s3_prefix",
    "public_base_url": "s3_public_base_url",
    "url_expires_seconds": "s3_url_seconds",
    "addressing_style": "s3_addressing_style",
}
_MEANS_A_BUCKET = ("s3_bucket", "s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key")


def make_storage(settings: Settings, *, default: Literal["inline", "directory"]) -> Storage:
    """The storage the operator chose, else a bucket if one is set, else the default.

    Raises:
        SettingsError: the bucket's settings are incomplete; with every missing name.
    """
    has_bucket = any(getattr(settings, name) for name in _MEANS_A_BUCKET)
    chosen = settings.storage or ("s3" if has_bucket else default)
    if chosen == "directory":
        return DirectoryStorage(settings.output_folder)
    if chosen in {"inline", "gcs"}:
        return InlineStorage(settings.response_limit_bytes)
    names = {variable.field: variable.names[0] for variable in variables()}
    return S3Storage(
        S3Options.from_values(
            {option: getattr(settings, field) for option, field in _OPTIONS.items()},
            {option: names[field] for option, field in _OPTIONS.items()},
        )
    )
