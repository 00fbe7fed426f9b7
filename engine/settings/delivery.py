"""Settings of how results are delivered, unless a request says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from engine.settings.fields import Part, named


def _storage(value: Any) -> Any:
    word = value.lower() if isinstance(value, str) else value
    return "inline" if word == "base64" else word  # what `output_mode` of a request calls it (engine.dialects)


class DeliverySettings(Part):
    """Results."""

    storage: Annotated[Literal["s3", "gcs", "inline", "directory"] | None, BeforeValidator(_storage)] = Field(
        None,
        validation_alias=named("STORAGE", "OUTPUT_MODE"),
        description="where results go; by default the bucket if one is set, else inline (worker) or a folder. "
        "`base64` is the same as inline",
    )
    output_folder: Path = Field(
        Path("outputs"), validation_alias=named("OUTPUT_FOLDER"), description="for storage in a folder"
    )
    response_limit_bytes: int = Field(
        9_500_000,
        gt=0,
        validation_alias=named("RESPONSE_LIMIT_BYTES", "INLINE_LIMIT_BYTES"),
        description="the longest reply; RunPod loses what is over 10 MB (20 MB for runsync)",
    )
    filename_template: str | None = Field(
        None,
        validation_alias=named("FILENAME_TEMPLATE"),
        description="of the results' names, such as {workflow}_{seed}_{index}; by default ComfyUI's own, in a folder "
        "for each job",
    )
    output_format: Literal["png", "jpeg", "webp", "avif"] | None = Field(
        None, validation_alias=named("OUTPUT_FORMAT"), description="convert pictures; by default they stay as they are"
    )
    output_quality: int = Field(
        90, ge=1, le=100, validation_alias=named("OUTPUT_QUALITY"), description="of converted pictures"
    )
    output_lossless: bool = Field(
        False, validation_alias=named("OUTPUT_LOSSLESS"), description="convert to WebP without loss"
    )
    output_metadata: Literal["keep", "values", "strip"] = Field(
        "keep",
        validation_alias=named("OUTPUT_METADATA"),
        description="in pictures: `keep` ComfyUI's graph and add the workflow's values, the `values` alone, or `strip` "
        "all",
    )
    thumbnail_pixels: int = Field(
        0,
        ge=0,
        le=512,
        validation_alias=named("THUMBNAIL_PIXELS"),
        description="add a WebP thumbnail with this longest side to each picture; 0: none",
    )
    uploads_at_once: int = Field(
        4, ge=1, le=32, validation_alias=named("UPLOADS_AT_ONCE"), description="of one job's results"
    )
    url_kind: Literal["presigned", "public", "none"] | None = Field(
        None,
        validation_alias=named("URL_KIND"),
        description="of results in a bucket; by default `public` where a public base is set, else `presigned`",
    )
    upload_retry_seconds: float = Field(
        20,
        ge=0,
        le=600,
        validation_alias=named("UPLOAD_RETRY_SECONDS"),
        description="how long a job's uploads are tried again while the bucket fails; the GPU waits, and is paid for, "
        "meanwhile",
    )
    spool_path: Path | Literal["off"] | None = Field(
        None,
        validation_alias=named("SPOOL_PATH"),
        description="where results wait for a bucket that is away, to be delivered later; by default on the volume, "
        "where there is one, else in the user's cache; `off`: nowhere",
    )
    spool_max_bytes: int = Field(
        10_000_000_000,
        gt=0,
        validation_alias=named("SPOOL_MAX_BYTES"),
        description="the most that may wait there",
    )
