"""How the results of a job are to reach its caller: the operator's defaults with the request's wishes over them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

StorageMode = Literal["s3", "gcs", "inline", "directory"]
PictureFormat = Literal["png", "jpeg", "webp", "avif"]
MetadataKind = Literal["keep", "values", "strip"]
UrlKind = Literal["presigned", "public", "none"]


@dataclass(frozen=True, slots=True)
class Naming:
    """What the names of a job's results can be made of.

    Attributes:
        workflow: its name.
        version: of its parameter map.
        job_id: the job's id.
        values: the payload's values, as results report them: files by their names.
    """

    workflow: str
    version: str
    job_id: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How results are delivered.

    Attributes:
        mode: where they go.
        prefix: folders below the operator's own prefix; empty for none.
        filename: a template of names (`{workflow}_{seed}_{index}`); None for the store's own choice.
        format: what still pictures are converted to; None leaves them as they are.
        quality: of converted pictures, 1 to 100.
        lossless: convert to WebP (or AVIF) without loss.
        metadata: what pictures carry: `keep` ComfyUI's graph and add the workflow's values, the `values` alone, or
            `strip` all.
        url: the kind of link to a result in a bucket; None for the bucket's own choice.
        expires_in: seconds that a signed link holds; None for the operator's.
        acl: of the objects (`public-read`); None for the operator's. So are the next two.
        storage_class: of the objects.
        cache_control: of the objects.
        thumbnail: the longest side of a WebP thumbnail in pixels; 0 for none.
    """

    mode: StorageMode
    prefix: str = ""
    filename: str | None = None
    format: PictureFormat | None = None
    quality: int = 90
    lossless: bool = False
    metadata: MetadataKind = "keep"
    url: UrlKind | None = None
    expires_in: int | None = None
    acl: str | None = None
    storage_class: str | None = None
    cache_control: str | None = None
    thumbnail: int = 0
