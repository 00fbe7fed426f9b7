"""Settings of the files that callers send or name."""

from __future__ import annotations

from pydantic import Field

from engine.settings.fields import Names, Part, Url, named

_MIB = 1024 * 1024


class InputSettings(Part):
    """Files that callers send or name."""

    allow_private_urls: bool = Field(
        False,
        validation_alias=named("ALLOW_PRIVATE_URLS"),
        description="fetch from private addresses as well, such as a bucket on this machine",
    )
    max_image_bytes: int = Field(
        64 * _MIB, gt=0, validation_alias=named("MAX_IMAGE_BYTES"), description="the largest image or mask"
    )
    max_video_bytes: int = Field(
        1024 * _MIB,
        gt=0,
        validation_alias=named("MAX_VIDEO_BYTES"),
        description="the largest video; over a bare COMFY_URL ComfyUI itself takes 100 MiB",
    )
    max_audio_bytes: int = Field(
        256 * _MIB, gt=0, validation_alias=named("MAX_AUDIO_BYTES"), description="the largest audio file"
    )
    max_file_bytes: int = Field(
        1024 * _MIB, gt=0, validation_alias=named("MAX_FILE_BYTES"), description="the largest file of another kind"
    )
    max_input_pixels: int = Field(
        64_000_000, gt=0, validation_alias=named("MAX_INPUT_PIXELS"), description="the largest input picture"
    )
    fetch_image_seconds: float = Field(
        30, gt=0, validation_alias=named("FETCH_IMAGE_SECONDS"), description="the longest fetch of an image or mask"
    )
    fetch_video_seconds: float = Field(
        300, gt=0, validation_alias=named("FETCH_VIDEO_SECONDS"), description="the longest fetch of a video"
    )
    fetch_audio_seconds: float = Field(
        120, gt=0, validation_alias=named("FETCH_AUDIO_SECONDS"), description="the longest fetch of an audio file"
    )
    fetch_file_seconds: float = Field(
        300, gt=0, validation_alias=named("FETCH_FILE_SECONDS"), description="the longest fetch of another file"
    )
    s3_input_bucket: str | None = Field(
        None,
        validation_alias=named("S3_INPUT_BUCKET"),
        description="bare names are keys in it; by default the bucket of the results",
    )
    s3_input_prefix: str | None = Field(
        None,
        validation_alias=named("S3_INPUT_PREFIX", "S3_INPUT_DIR", "COMFYS3_S3_INPUT_DIR"),
        description="bare names are keys below it; with neither this nor S3_INPUT_BUCKET set they are refused",
    )
    s3_input_buckets: Names = Field(
        (),
        validation_alias=named("S3_INPUT_BUCKETS"),
        description="buckets that s3://BUCKET/KEY may name, separated by commas; * for any the credentials open",
    )
    s3_input_endpoint_url: Url = Field(
        None, validation_alias=named("S3_INPUT_ENDPOINT_URL"), description="by default that of the results"
    )
    s3_input_access_key_id: str | None = Field(
        None, validation_alias=named("S3_INPUT_ACCESS_KEY_ID"), description="by default that of the results"
    )
    s3_input_secret_access_key: str | None = Field(
        None, repr=False, validation_alias=named("S3_INPUT_SECRET_ACCESS_KEY"), description="goes with the key id"
    )
    s3_input_session_token: str | None = Field(
        None, repr=False, validation_alias=named("S3_INPUT_SESSION_TOKEN"), description="of temporary credentials"
    )
    s3_input_region: str | None = Field(
        None, validation_alias=named("S3_INPUT_REGION"), description="by default that of the results"
    )
