"""Pictures small enough to travel in an answer, in forms that every agent reads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from engine.media import modes
from engine.media.conversion import CONTENT_TYPES, READ, moves
from engine.media.unfinished import pillow_work

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 1024
"""In pixels. Models that look at pictures scale larger ones down themselves: to 1568 pixels a side at most
(https://docs.anthropic.com/en/docs/build-with-claude/vision)."""

_SMALL_BYTES = 100_000
_SIDES = (LONGEST_SIDE, 768, 512, 256, 64)
_QUALITIES = (85, 70, 50)
_AS_THEY_ARE = frozenset({"PNG", "JPEG", "WEBP"})


def small_picture(source: Path | bytes, most_bytes: int) -> tuple[bytes, str]:
    """A picture for an answer: its first frame, where it has several.

    Args:
        source: the picture's file, or its content.
        most_bytes: that it may take; it gets smaller until it fits.

    Returns:
        The picture and its media type: JPEG; PNG or WebP where parts of it are transparent. A small one is given as it
        is.

    Raises:
        Unfinished: it can't be decoded.
    """
    from PIL import Image, ImageOps

    content = source if isinstance(source, bytes) else source.read_bytes()
    with pillow_work("can't be shown"), Image.open(io.BytesIO(content), formats=READ) as picture:
        form = picture.format or ""
        if (
            form in _AS_THEY_ARE
            and len(content) <= min(_SMALL_BYTES, most_bytes)
            and max(picture.size) <= LONGEST_SIDE
            and not moves(picture)
        ):
            return content, f"image/{form.lower()}"
        if not picture.has_transparency_data:
            picture.draft(picture.mode, (LONGEST_SIDE, LONGEST_SIDE))  # JPEG is decoded no larger than needed
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        for side in _SIDES:
            written = _written(upright, side, most_bytes)
            if len(written[0]) <= most_bytes:
                break
    return written


def _written(picture: Image, side: int, most_bytes: int) -> tuple[bytes, str]:
    """The picture no larger than that; the smallest there is, where none is small enough."""
    from PIL import Image

    transparent = picture.has_transparency_data
    content, form = b"", "jpeg"
    for form, quality in (
        (("png", 0), *(("webp", each) for each in _QUALITIES))
        if transparent
        else (("jpeg", each) for each in _QUALITIES)
    ):
        scaled = modes.fitted(picture, form)
        if scaled.mode in ("P", "1"):
            scaled = scaled.convert("RGBA" if transparent else "L")  # a palette can't be scaled
        scaled = scaled.copy()
        scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        scaled.save(buffer, form.upper(), **({"optimize": True} if form == "png" else {"quality": quality}))
        content = buffer.getvalue()
        if len(content) <= most_bytes:
            break
    return content, CONTENT_TYPES[form]  # type: ignore[index]
