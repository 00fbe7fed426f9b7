"""Pictures, as Pillow sees them. Pillow is imported here alone, where it is used."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

# Pillow opens some fifty formats, EPS by way of Ghostscript among them; these are what callers send.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

# What Pillow's readers let through for broken files, beside their own exceptions
# (https://pillow.readthedocs.io/en/stable/reference/Image.html and the plugins themselves).
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    UserWarning,  # of odd metadata; raised only where warnings are errors
    struct.error,
    zlib.error,
)

_ORIENTATION = 0x0112
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})


class PictureProblem(Exception):
    """A file is not a picture that can be used; the message says why, for the person who sent it."""


def check(path: Path, *, max_pixels: int) -> tuple[int, int]:
    """Decodes a picture completely, all of its frames.

    Args:
        path: the file.
        max_pixels: the most it may have, all frames together. Looked at before anything is decoded.

    Returns:
        Width and height in pixels, the way it is to be looked at: ComfyUI's LoadImage applies the EXIF
        orientation (ComfyUI 0.8, nodes.py), so the file is left as it is.

    Raises:
        PictureProblem: it is broken, too large, or no picture.
    """
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        with Image.open(path, formats=_FORMATS) as picture:
            pixels = 0
            for frame in ImageSequence.Iterator(picture):
                pixels += frame.width * frame.height
                if pixels > max_pixels:
                    raise PictureProblem(_too_large(frame.width, frame.height, max_pixels))
                frame.load()
            picture.seek(0)
            return _as_looked_at(picture)
    except UnidentifiedImageError as error:
        raise PictureProblem(
            "is not a picture that can be read; PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF are"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureProblem(f"has too many pixels; at most {max_pixels} are allowed") from error
    except _BROKEN as error:
        raise PictureProblem("is broken or cut off; the picture can't be decoded") from error


def size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture in pixels, from its header; None if it can't be told. Never raises."""
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as picture:
            return _as_looked_at(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *_BROKEN):
        return None


def _as_looked_at(picture: object) -> tuple[int, int]:
    from PIL import Image

    if not isinstance(picture, Image.Image):
        raise TypeError(picture)
    sideways = picture.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    return (picture.height, picture.width) if sideways else (picture.width, picture.height)


def _too_large(width: int, height: int, max_pixels: int) -> str:
    if width * height > max_pixels:
        return f"is {width} by {height} pixels, {width * height} in all; at most {max_pixels} are allowed"
    return f"has more than {max_pixels} pixels in its frames together; at most as many are allowed"
