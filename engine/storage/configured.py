"""The operator's buckets, as the settings describe them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import Problem, SettingsError
from engine.name_templates import template_problem
from engine.s3 import S3Options
from engine.settings import Settings, variables
from engine.storage.gcs_options import GCSOptions
from engine.storage.spool import Spool
from engine.volume import lasting_folder

_S3 = {  # of S3Options, to the setting
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
    "acl": "s3_acl",
    "storage_class": "s3_storage_class",
    "cache_control": "s3_cache_control",
    "url_kind": "url_kind",
}
_GCS = {
    "bucket": "gcs_bucket",
    "prefix": "gcs_prefix",
    "credentials_file": "gcs_credentials",
    "project": "gcs_project",
    "public": "gcs_public",
    "url_expires_seconds": "gcs_signed_url_ttl",
    "url_kind": "url_kind",
    "retries": "gcs_retries",
    "retry_base_sleep": "gcs_retry_base_sleep",
}
_MEANS_S3 = ("s3_bucket", "s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key")


def buckets(settings: Settings) -> tuple[S3Options | None, GCSOptions | None]:
    """The buckets that are set, S3's and Google's; None for one that is not.

    Raises:
        SettingsError: what is set is incomplete, contradicts itself, or Google's package is missing; with every
            problem.
    """
    problems: list[Problem] = []
    s3: S3Options | None = None
    gcs: GCSOptions | None = None
    names = {each.field: settings.source_of(each.field).variable or each.names[0] for each in variables()}
    if settings.storage == "s3" or any(getattr(settings, name) for name in _MEANS_S3):
        try:
            s3 = S3Options.from_values(_values(settings, _S3), _called(_S3, names))
        except SettingsError as error:
            problems += error.problems
    if settings.storage == "gcs" or settings.gcs_bucket:
        try:
            gcs = GCSOptions.from_values(_google_values(settings), _called(_GCS, names))
        except SettingsError as error:
            problems += error.problems
    problems += _delivery_problems(settings, [options.prefix for options in (s3, gcs) if options] or [""])
    if problems:
        raise SettingsError(problems=problems, hint="see docs/delivery.md and docs/settings.md")
    return s3, gcs


def spool_of(settings: Settings) -> Spool | None:
    """The folder in which results wait for a bucket; None if there is to be none."""
    folder = spool_folder(settings)
    return Spool(folder, settings.spool_max_bytes) if folder else None


def spool_folder(settings: Settings) -> Path | None:
    """Where it is; None if there is to be none."""
    path = settings.spool_path
    if path == "off":
        return None
    return Path(path) if path else lasting_folder("spool", settings.volume_path)


def _values(settings: Settings, fields: Mapping[str, str]) -> dict[str, object]:
    return {option: getattr(settings, field) for option, field in fields.items()}


def _google_values(settings: Settings) -> dict[str, object]:
    values = _values(settings, _GCS)
    if not settings.gcs_signed_url_ttl:  # other workers' word for none
        del values["url_expires_seconds"]
        values["url_kind"] = settings.url_kind or ("public" if settings.gcs_public else "none")
    return values


def _called(fields: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {option: names[field] for option, field in fields.items()}


def _delivery_problems(settings: Settings, prefixes: list[str]) -> list[Problem]:
    problems = []
    if settings.filename_template:
        complaints = [template_problem(settings.filename_template, prefix=prefix) for prefix in prefixes]
        problems += [Problem("FILENAME_TEMPLATE", complaint) for complaint in dict.fromkeys(complaints) if complaint]
    if settings.output_lossless and settings.output_format == "jpeg":
        problems.append(Problem("OUTPUT_LOSSLESS", "JPEG always loses; choose webp, avif or png as OUTPUT_FORMAT"))
    return problems
