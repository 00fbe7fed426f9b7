"""Pictures, as Pillow sees them: whether one can be used, and how large it is. Pillow is imported where it is used."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cancellation import CancellationToken
from engine.media import heic

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow opens some fifty formats, EPS by way of Ghostscript among them; these are what callers send. A JPEG that holds
# several pictures (MPO) comes by way of JPEG.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
HEIC = "HEIC"
"""What `opened` gives as the format of one, which Pillow itself does not read."""
READ = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC")
"""The formats that are read, as people write them."""

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
    RuntimeError,
    struct.error,
    zlib.error,
)

_ORIENTATION = 0x0112
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})


class PictureProblem(Exception):
    """A file is not a picture that can be used; the message says why, for the person who sent it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a picture turned out to be.

    Attributes:
        width: in pixels, the way it is to be looked at.
        height: in pixels, the way it is to be looked at.
        frames: how many it has, or pages; 1 for a still.
        orientation: EXIF's, 1 to 8; 1 is upright.
    """

    width: int
    height: int
    frames: int
    orientation: int


def check(path: Path, *, max_pixels: int) -> tuple[int, int]:
    """Decodes a picture completely, all of its frames; the file is left as it is.

    Args:
        path: the file.
        max_pixels: the most it may have, all frames together. Looked at before anything is decoded.

    Returns:
        Width and height in pixels, the way it is to be looked at.

    Raises:
        PictureProblem: it is broken, too large, or no picture.
    """
    with opened(path, max_pixels=max_pixels) as picture:
        decoded = decode(picture, max_pixels=max_pixels, animated=True)
    return decoded.width, decoded.height


def size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture in pixels, from its header; None if it can't be told. Never raises.

    Meant for results: a HEIC is not looked at.
    """
    from PIL import Image

    try:
        with _open(path) as picture:
            # Pillow decodes a PNG to look for EXIF behind the pixels, where hardly anyone puts it.
            unseen = picture.format == "PNG" and "exif" not in picture.info
            return _as_looked_at(picture, 1 if unseen else _orientation(picture))
    except (Image.DecompressionBombError, *_BROKEN):
        return None


@contextlib.contextmanager
def opened(path: Path, *, max_pixels: int, tokens: Sequence[CancellationToken] = ()) -> Iterator[Image]:
    """A picture, nothing of it decoded yet. What goes wrong inside is taken for the picture's fault.

    Args:
        path: the file.
        max_pixels: the most it may have, for the message.
        tokens: any of them ends the reading of a HEIC, which can take long.

    Raises:
        PictureProblem: it is broken, too large for Pillow, or no picture.
        Cancelled: the job was cancelled.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with _open_heic(path, max_pixels, tokens) if heic.is_heic(path) else _open(path) as picture:
            yield picture
    except UnidentifiedImageError as error:
        raise PictureProblem(f"is not a picture that can be read; {', '.join(READ[:-1])} and {READ[-1]} are") from error
    except Image.DecompressionBombError as error:
        # Pillow refuses twice its own bound (https://pillow.readthedocs.io/en/stable/reference/limits.html).
        most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
        raise PictureProblem(f"has too many pixels; at most {most} are allowed") from error
    except _BROKEN as error:
        raise PictureProblem("is broken or cut off; the picture can't be decoded") from error


def decode(picture: Image, *, max_pixels: int, animated: bool) -> Decoded:
    """Decodes an opened picture, all of its frames; it then stands at its first.

    Args:
        picture: of `opened`, to be called within it.
        max_pixels: the most it may have, all frames together. Looked at before anything is decoded.
        animated: it may have several frames.

    Raises:
        PictureProblem: it has too many pixels or frames.
    """
    from PIL import ImageSequence

    _bounded(*picture.size, 0, max_pixels)
    # Of several pictures in one JPEG one is meant: phones put a preview or a depth map beside the photo.
    still = picture.format == "MPO" or not getattr(picture, "is_animated", False)
    frames = 1 if still else getattr(picture, "n_frames", 1)
    if frames > 1 and not animated:
        what = f"has {frames} pages" if picture.format == "TIFF" else f"is animated ({frames} frames)"
        raise PictureProblem(f"{what}; this parameter takes a single picture")
    # Before it is decoded: of a TIFF, Pillow forgets the orientation once it has applied it.
    orientation = _orientation(picture)
    if still:
        picture.load()
    else:
        pixels = 0
        for frame in ImageSequence.Iterator(picture):
            pixels = _bounded(*frame.size, pixels, max_pixels)
            frame.load()
        picture.seek(0)
        picture.load()
    return Decoded(*_as_looked_at(picture, orientation), frames, orientation)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Image]:
    from PIL import Image

    # Pillow warns of odd metadata, and of many pixels, which are counted here against a bound of our own; nobody who
    # reads the log could do anything about either.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # By a path, Pillow 13 would map an uncompressed TIFF into memory, and get the rows of one on its side wrong.
    with path.open("rb") as file, Image.open(file, formats=_FORMATS) as picture:
        yield picture


@contextlib.contextmanager
def _open_heic(path: Path, max_pixels: int, tokens: Sequence[CancellationToken]) -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="heic-") as folder:
        target = Path(folder) / "picture.tiff"
        _bounded(*heic.read(path, target, max_pixels=max_pixels, tokens=tokens), 0, max_pixels)
        with _open(target) as picture:
            picture.format = HEIC
            yield picture


def _bounded(width: int, height: int, before: int, max_pixels: int) -> int:
    """The pixels so far, with one more frame."""
    if width * height > max_pixels:
        raise PictureProblem(
            f"is {width} by {height} pixels, {width * height} in all; at most {max_pixels} are allowed"
        )
    if before + width * height > max_pixels:
        raise PictureProblem(f"has more than {max_pixels} pixels in its frames together; at most as many are allowed")
    return before + width * height


def _orientation(picture: Image) -> int:
    found = picture.getexif().get(_ORIENTATION)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _as_looked_at(picture: Image, orientation: int) -> tuple[int, int]:
    # Pillow gives the size of a TIFF with its orientation applied, even before it is decoded (TiffImagePlugin.py).
    sideways = orientation in _ON_ITS_SIDE and picture.format != "TIFF"
    return (picture.height, picture.width) if sideways else (picture.width, picture.height)
