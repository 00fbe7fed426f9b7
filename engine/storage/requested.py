"""What a request may say of its delivery."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from engine.delivery import MetadataKind, PictureFormat, StorageMode, UrlKind


def _format(value: Any) -> Any:
    """`jpg` is what many call it."""
    return "jpeg" if value == "jpg" else value


class DeliveryRequest(BaseModel):
    """A request's `delivery`: its wishes over the operator's defaults. Null is as good as absent.

    Attributes:
        mode: where results go: `s3`, `gcs`, `inline`; `directory` on the command line and the local server alone.
        prefix: folders below the operator's own.
        filename: a template of names, such as `{workflow}_{seed}_{index}`.
        format: what still pictures are converted to: `png`, `jpeg` (or `jpg`), `webp`, `avif`.
        quality: of converted pictures, 1 to 100.
        lossless: convert to WebP or AVIF without loss.
        metadata: what pictures carry: `keep`, `values` or `strip`.
        url: the kind of link: `presigned`, `public` or `none`.
        expires_in: seconds that a signed link holds, at most seven days.
        acl: of the objects, such as `public-read`.
        storage_class: of the objects, such as `STANDARD_IA` (S3) or `NEARLINE` (Google).
        cache_control: of the objects, such as `public, max-age=86400`.
        thumbnail: the longest side of a WebP thumbnail in pixels, at most 512; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    mode: StorageMode | None = None
    prefix: str | None = Field(None, max_length=512)
    filename: str | None = Field(None, min_length=1, max_length=512)
    format: Annotated[PictureFormat | None, BeforeValidator(_format)] = None
    quality: int | None = Field(None, ge=1, le=100)
    lossless: bool | None = None
    metadata: MetadataKind | None = None
    url: UrlKind | None = None
    expires_in: int | None = Field(None, ge=1, le=604_800)
    acl: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z-]{0,39}$")
    storage_class: str | None = Field(None, pattern=r"^[A-Z][A-Z_]{0,39}$")
    # It becomes a header: one line of plain text.
    cache_control: str | None = Field(None, pattern=r"^[!-~][ -~]{0,199}$")
    thumbnail: int | None = Field(None, ge=0, le=512)
