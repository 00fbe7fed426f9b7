"""Settings of the buckets that results go to."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from engine.settings.fields import Part, Url, named


class S3Settings(Part):
    """A bucket that speaks S3."""

    s3_bucket: str | None = Field(
        None,
        validation_alias=named(
            "S3_BUCKET",
            "S3_BUCKET_NAME",
            "BUCKET_NAME",
            "COMFYS3_S3_BUCKET_NAME",
            generic=("AWS_S3_BUCKET_NAME", "AWS_S3_BUCKET", "AWS_BUCKET_NAME"),
        ),
        description="results go there; where an endpoint's URL holds it, it need not be said again",
    )
    s3_endpoint_url: Url = Field(
        None,
        validation_alias=named(
            "S3_ENDPOINT_URL",
            "S3_ENDPOINT",
            "BUCKET_ENDPOINT_URL",
            "COMFYS3_S3_ENDPOINT_URL",
            generic=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        ),
        description="of anything but AWS: R2, MinIO, Backblaze; may hold the bucket, as worker-comfyui has it",
    )
    s3_access_key_id: str | None = Field(
        None,
        validation_alias=named(
            "S3_ACCESS_KEY_ID",
            "S3_ACCESS_KEY",
            "BUCKET_ACCESS_KEY_ID",
            "COMFYS3_S3_ACCESS_KEY",
            generic=("AWS_ACCESS_KEY_ID",),
        ),
        description="without any, boto3 finds its own: a role, a profile",
    )
    s3_secret_access_key: str | None = Field(
        None,
        repr=False,
        validation_alias=named(
            "S3_SECRET_ACCESS_KEY",
            "S3_SECRET_KEY",
            "BUCKET_SECRET_ACCESS_KEY",
            "COMFYS3_S3_SECRET_KEY",
            generic=("AWS_SECRET_ACCESS_KEY",),
        ),
        description="goes with the key id",
    )
    s3_session_token: str | None = Field(
        None,
        repr=False,
        validation_alias=named("S3_SESSION_TOKEN", generic=("AWS_SESSION_TOKEN",)),
        description="of temporary credentials",
    )
    s3_region: str | None = Field(
        None,
        validation_alias=named(
            "S3_REGION", "BUCKET_REGION", "COMFYS3_S3_REGION", generic=("AWS_REGION", "AWS_DEFAULT_REGION")
        ),
        description="read from the endpoint where it can be",
    )
    s3_prefix: str = Field(
        "",
        validation_alias=named("S3_PREFIX", "S3_OUTPUT_DIR", "COMFYS3_S3_OUTPUT_DIR"),
        description="the first part of every key",
    )
    s3_public_base_url: Url = Field(
        None,
        validation_alias=named("S3_PUBLIC_BASE_URL"),
        description="give URLs below this instead of presigned ones",
    )
    s3_url_seconds: int = Field(
        86_400,
        gt=0,
        le=604_800,
        validation_alias=named("S3_URL_SECONDS"),
        description="how long a presigned URL holds",
    )
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", validation_alias=named("S3_ADDRESSING_STYLE"), description="`path` for many MinIO installations"
    )
    s3_acl: str | None = Field(
        None, validation_alias=named("S3_ACL"), description="of every object, such as public-read"
    )
    s3_storage_class: str | None = Field(
        None, validation_alias=named("S3_STORAGE_CLASS"), description="of every object, such as STANDARD_IA"
    )
    s3_cache_control: str | None = Field(
        None, validation_alias=named("S3_CACHE_CONTROL"), description="of every object, such as max-age=86400"
    )
    allow_s3_config: bool = Field(
        False,
        validation_alias=named("ALLOW_S3_CONFIG"),
        description="let a request bring its own bucket and credentials, as RunPod's s3Config",
    )


class GCSSettings(Part):
    """A bucket of Google Cloud Storage, with service-account credentials (the extra `gcs`)."""

    gcs_bucket: str | None = Field(
        None, validation_alias=named("GCS_BUCKET", "GCS_BUCKET_NAME"), description="results go there"
    )
    gcs_prefix: str = Field("", validation_alias=named("GCS_PREFIX"), description="the first part of every name")
    gcs_credentials: Path | None = Field(
        None,
        validation_alias=named("GOOGLE_APPLICATION_CREDENTIALS"),
        description="the file of a service account; without it, Google's own search: a role, gcloud's login",
    )
    gcs_project: str | None = Field(
        None,
        validation_alias=named("GCS_PROJECT", generic=("GOOGLE_CLOUD_PROJECT",)),
        description="by default that of the credentials",
    )
    gcs_public: bool = Field(
        False, validation_alias=named("GCS_PUBLIC"), description="the bucket is public: give plain URLs"
    )
    gcs_signed_url_ttl: int = Field(
        86_400,
        ge=0,
        le=604_800,
        validation_alias=named("GCS_SIGNED_URL_TTL"),
        description="how many seconds a signed URL holds; 0: results get no signed URLs",
    )
    gcs_retries: int = Field(4, ge=0, le=20, validation_alias=named("GCS_RETRIES"), description="after a failed upload")
    gcs_retry_base_sleep: float = Field(
        0.5,
        ge=0,
        le=60,
        validation_alias=named("GCS_RETRY_BASE_SLEEP"),
        description="seconds before the first retry; doubles with each",
    )
    gcs_validate: bool = Field(
        False,
        validation_alias=named("GCS_VALIDATE"),
        description="ask for the bucket when the worker starts, and do not start without it",
    )
