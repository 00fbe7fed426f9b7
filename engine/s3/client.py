"""The one way a client of a bucket is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.s3.errors import translated
from engine.s3.options import S3Options

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 4
_CONNECTIONS = 32


def build_client(options: S3Options) -> S3Client:
    """A client for a bucket; takes some 80 ms, sends nothing. It may be used from many threads.

    Raises:
        StorageError: no client can be made of the options (a profile that does not exist).
    """
    import boto3
    from botocore.config import Config

    with translated(options):
        session = boto3.session.Session()
        return session.client(
            "s3",
            endpoint_url=options.endpoint_url,
            region_name=options.effective_region or session.region_name or "us-east-1",
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            aws_session_token=options.session_token,
            config=Config(
                # Without it botocore still signs some links by version 2, which newer regions and R2 refuse.
                signature_version="s3v4",
                s3={"addressing_style": options.effective_addressing_style},
                # Since 1.36 botocore adds checksums that R2, Google and others refuse, unless told so.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                connect_timeout=10,
                read_timeout=60,
                max_pool_connections=_CONNECTIONS,
            ),
        )
