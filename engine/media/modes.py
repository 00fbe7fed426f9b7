"""Pictures of every kind as the few that a format can hold."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from engine.media.unfinished import Unfinished

if TYPE_CHECKING:
    from PIL import Image

_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")

# By format, the modes that are written as they are.
_HELD = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpeg": ("L", "RGB"),
    "webp": ("RGB", "RGBA"),
    "avif": ("L", "RGB", "RGBA"),
}

# The colour space an ICC profile is of (ICC.1:2022, section 7.2.6), by what its pixels are here.
_COLOUR_SPACES = {"1": b"GRAY", "L": b"GRAY", "LA": b"GRAY", "I;16": b"GRAY", "I": b"GRAY", "CMYK": b"CMYK"}


def fitted(picture: Image.Image, form: str) -> Image.Image:
    """The picture in a mode that the format holds, with as much of it as that takes.

    Sixteen bits stay sixteen in PNG alone. Transparency comes onto white in JPEG. CMYK becomes sRGB.

    Args:
        picture: decoded, or not yet.
        form: `png`, `jpeg`, `webp` or `avif`.

    Returns:
        A picture whose `info` holds nothing but its colour profile, where that still fits, its resolution and
        the transparent colour of a palette.

    Raises:
        Unfinished: its pixels have no agreed meaning in such a format.
    """
    if picture.mode == "F":
        raise Unfinished("holds floating-point pixels, which have no agreed range to be converted from")
    profile = picture.info.get("icc_profile")
    transparent = picture.has_transparency_data
    if picture.mode in _SIXTEEN_BIT:
        result = _sixteen_bit(picture) if form == "png" else _eight_bit(picture)
    elif picture.mode == "CMYK":
        result = _from_cmyk(picture, profile)
        profile = None
    elif form == "jpeg" and transparent:
        result = _onto_white(picture)
    elif picture.mode in _HELD[form] and not (transparent and picture.mode in ("1", "L", "RGB")):
        result = picture
    elif form == "png" and picture.mode in ("PA", "La"):
        result = picture.convert("RGBA" if picture.mode == "PA" else "LA")
    else:
        result = picture.convert(_colour_mode(picture, form, transparent=transparent))
    return _described(picture, result, profile)


def _colour_mode(picture: Image.Image, form: str, *, transparent: bool) -> str:
    if transparent:
        return "RGBA"
    return "L" if picture.mode in ("1", "L", "LA") and form != "webp" else "RGB"


def _sixteen_bit(picture: Image.Image) -> Image.Image:
    """As PNG's writer takes it; numbers outside sixteen bits, which a TIFF may hold, end at the nearest."""
    return picture if picture.mode == "I;16" else picture.convert("I").convert("I;16")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The upper byte. Pillow's own conversion has cut off at 255 instead in some versions."""
    return picture.convert("I").point(lambda level: level * (1 / 256)).convert("L")


def _from_cmyk(picture: Image.Image, profile: bytes | None) -> Image.Image:
    from PIL import ImageCms

    if profile:
        try:
            return (
                ImageCms.profileToProfile(
                    picture,
                    ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                    ImageCms.createProfile("sRGB"),
                    outputMode="RGB",
                )
                or picture
            )
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile is as good as none
    return picture.convert("RGB")


def _onto_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    grey = picture.mode in ("1", "L", "LA", "La")
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layered).convert("L" if grey else "RGB")


def _described(picture: Image.Image, result: Image.Image, profile: bytes | None) -> Image.Image:
    """The writers take comments, text and more from `info` unasked: only what was chosen stays there."""
    kept = {"dpi": picture.info.get("dpi")}
    if profile and profile[16:20] == _COLOUR_SPACES.get(result.mode, b"RGB "):
        kept["icc_profile"] = profile
    if result.mode == "P":
        kept["transparency"] = picture.info.get("transparency")
    result.info = {name: value for name, value in kept.items() if value is not None}
    return result
