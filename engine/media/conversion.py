"""Still pictures in another format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.delivery import MetadataKind, PictureFormat
from engine.media import carried, modes
from engine.media.unfinished import Unfinished, pillow_work

if TYPE_CHECKING:
    from PIL import Image

CONTENT_TYPES: dict[PictureFormat, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
}

READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is read, as Pillow calls it: its other readers are for files that no workflow makes."""

_PNG_COMPRESSION = 4  # as ComfyUI's SaveImage does (ComfyUI 0.8, nodes.py); more takes long and gains little

# libavif writes larger ones and then refuses to read them (avif.h, AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT).
_LONGEST_SIDE_OF_AVIF = 32_768

_AVIF_NOT_EXACT = "AVIF is written at its highest quality, which can still change a colour by a few levels of 256"


def convert(
    source: Path,
    target: Path,
    *,
    form: PictureFormat,
    quality: int,
    lossless: bool,
    metadata: MetadataKind,
    stamp: Mapping[str, Any],
) -> list[str]:
    """Write a still picture in another format, upright, with its colour profile.

    Args:
        source: the picture.
        target: the file to write; there is none afterwards if that fails.
        form: the format.
        quality: 1 to 100; PNG has none.
        lossless: for WebP and AVIF.
        metadata: `keep` what it carries and add the stamp, the stamp (`values`) alone, or neither (`strip`).
        stamp: JSON types; empty for none.

    Returns:
        Warnings, each a clause that follows the file's name.

    Raises:
        Unfinished: it moves, or can't be decoded or written in that format.
    """
    from PIL import Image, ImageOps

    work = f"can't be converted to {form}"
    with pillow_work(work), Image.open(source, formats=READ) as picture:
        if moves(picture):
            raise Unfinished(f"is not converted to {form}, because it has several frames")
        picture.load()
        goes_over = carried.carried_by(picture) if metadata == "keep" else carried.Carried()
        upright = modes.fitted(ImageOps.exif_transpose(picture), form)
    if form == "avif" and max(upright.size) > _LONGEST_SIDE_OF_AVIF:
        raise Unfinished(f"{work}: AVIF takes {_LONGEST_SIDE_OF_AVIF} pixels a side")
    options, warnings = carried.writer_options(goes_over, {} if metadata == "strip" else stamp, form)
    options |= {str(name): value for name, value in upright.info.items()}
    options |= _coding(upright, form, quality, lossless=lossless)
    try:
        with pillow_work(work):
            upright.save(target, form.upper(), **options)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return [*warnings, _AVIF_NOT_EXACT] if form == "avif" and lossless else warnings


def moves(picture: Image.Image) -> bool:
    """Whether a picture has several frames. A camera's JPEG may hold a second picture, which is no frame."""
    return picture.format not in ("JPEG", "MPO") and bool(getattr(picture, "is_animated", False))


def _coding(picture: Image.Image, form: str, quality: int, *, lossless: bool) -> dict[str, Any]:
    if form == "png":
        return {"compress_level": _PNG_COMPRESSION}
    if form == "webp":
        # Without `exact` the colours of wholly transparent pixels are lost; with `lossless`, quality is effort.
        return {"lossless": lossless, "exact": lossless, "quality": quality}
    if form == "avif" and lossless:
        return {"quality": 100} if picture.mode == "L" else {"quality": 100, "subsampling": "4:4:4"}
    return {"quality": quality}
