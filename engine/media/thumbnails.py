"""Small pictures that travel in the reply itself."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from engine.media import modes
from engine.media.conversion import READ
from engine.media.unfinished import pillow_work

_QUALITY = 80
_LONGEST_PROFILE = 4096  # sRGB's is about 600 bytes; a printer's, of some hundred kilobytes, is not worth it


def thumbnail(path: Path, longest_side: int) -> str:
    """A small WebP picture of a picture, of its first frame where it has several.

    Args:
        path: the picture.
        longest_side: in pixels, at most; a smaller picture is not enlarged.

    Returns:
        A data URI. Transparency stays; nothing else that the picture carries does, but for a short colour profile.

    Raises:
        Unfinished: the picture can't be decoded.
    """
    from PIL import Image, ImageOps

    with pillow_work("has no thumbnail"), Image.open(path, formats=READ) as picture:
        bound = (longest_side, longest_side)
        picture.draft(picture.mode, bound)  # JPEG is decoded no larger than needed
        picture.load()
        upright = modes.fitted(ImageOps.exif_transpose(picture), "webp")
        profile = upright.info.get("icc_profile", b"")
        upright.thumbnail(bound, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        kept = {"icc_profile": profile} if 0 < len(profile) <= _LONGEST_PROFILE else {"icc_profile": None}
        upright.save(buffer, "WEBP", quality=_QUALITY, **kept)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
