"""Pictures made fit for a graph: upright, of a format that every ComfyUI reads, no larger than asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cancellation import CancellationToken
from engine.media.pictures import HEIC, Decoded, PictureProblem, decode, opened

if TYPE_CHECKING:
    from PIL.Image import Image

_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}

# Pillow reads AVIF since 11.3 and HEIC not at all, and ComfyUI asks for no version of Pillow (its requirements.txt).
_CONVERTED = frozenset({"AVIF", HEIC})
_JPEG = frozenset({"JPEG", "MPO"})

_PNG_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "P", "RGB", "RGBA"})
_INSTEAD = {"I": "I;16", "F": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}  # of all others RGB, as LoadImage does
_GREY = frozenset({"1", "L", "LA", "I;16", "I;16B"})

_TOLERANCE = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class PictureBounds:
    """What a parameter takes.

    Attributes:
        max_pixels: the most pixels, all frames together.
        animated: whether a picture of several frames or pages will do.
        aspect_ratio: the least and the greatest width divided by height, of the picture as it is looked at.
        resize_to: pixels of the longest side; larger pictures are scaled down.
        min_side: pixels that the shorter side has at least, once the picture is scaled.
    """

    max_pixels: int
    animated: bool = False
    aspect_ratio: tuple[Fraction, Fraction] | None = None
    resize_to: int | None = None
    min_side: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be queued.

    Attributes:
        path: where it is.
        content_type: its media type; its name may still be of another.
        width: in pixels, the way it is to be looked at.
        height: in pixels, the way it is to be looked at.
        changed: whether the file is no longer the one that came.
    """

    path: Path
    content_type: str
    width: int
    height: int
    changed: bool = False


def prepare(path: Path, bounds: PictureBounds, tokens: Sequence[CancellationToken] = ()) -> Picture:
    """Decodes a picture completely, and rewrites the file where a graph needs it otherwise.

    A picture that lies on its side is turned, since not every node heeds EXIF; without loss, as PNG. AVIF and HEIC
    become PNG, since not every ComfyUI reads them. What is larger than `resize_to` is scaled down, as JPEG where it
    came as JPEG, as PNG otherwise. All else stays byte for byte as it came.

    Of an animated picture every frame stays, so it is neither turned nor scaled: one above `resize_to` is refused.

    Args:
        path: the file; changed in place.
        bounds: what it must keep to. Pixels are counted before anything is decoded.
        tokens: any of them ends the reading of a HEIC, which can take long.

    Raises:
        PictureProblem: it is broken, out of bounds, or no picture. The file is then as it was.
        Cancelled: the job was cancelled.
        OSError: it can't be written.
    """
    with opened(path, max_pixels=bounds.max_pixels, tokens=tokens) as picture:
        decoded = decode(picture, max_pixels=bounds.max_pixels, animated=bounds.animated)
        _check_ratio(decoded, bounds.aspect_ratio)
        scaled = bounds.resize_to is not None and max(decoded.width, decoded.height) > bounds.resize_to
        _check_side(decoded, bounds.min_side, bounds.resize_to if scaled else None)
        if decoded.frames > 1:
            if scaled:
                raise PictureProblem(
                    f"is animated and {decoded.width} by {decoded.height} pixels; an animated picture is not scaled "
                    f"down, and at most {bounds.resize_to} pixels on the longest side are allowed"
                )
            changed = _animation(picture, decoded) if picture.format in _CONVERTED else None
        else:
            changed = _still(picture, decoded, bounds.resize_to if scaled else None)
        content_type = _TYPES.get(picture.format or "", "image/png")
    if changed is None:
        return Picture(path, content_type, decoded.width, decoded.height)
    # Out of the block: what fails here is not the picture's fault.
    _rewrite(path, changed.save)
    return Picture(path, changed.content_type, changed.width, changed.height, changed=True)


@dataclass(frozen=True, slots=True)
class _Changed:
    content_type: str
    width: int
    height: int
    save: Callable[[Path], None]


def _still(picture: Image, decoded: Decoded, resize_to: int | None) -> _Changed | None:
    turned, converted = decoded.orientation != 1, picture.format in _CONVERTED
    if not (turned or converted or resize_to):
        return None
    is_jpeg = picture.format in _JPEG
    image = _upright(picture, decoded.orientation)
    if resize_to:
        image = _scaled(image, resize_to)
        if is_jpeg:
            profile = _profile(image)
            return _Changed(
                "image/jpeg",
                image.width,
                image.height,
                lambda path: image.save(path, "JPEG", quality=95, icc_profile=profile, exif=b"", comment=b""),
            )
    image = _writable(image)
    return _Changed("image/png", image.width, image.height, lambda path: _save_png(image, path))


def _animation(picture: Image, decoded: Decoded) -> _Changed:
    from PIL import ImageSequence

    frames, durations = [], []
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        durations.append(frame.info.get("duration", 0))
        frames.append(_writable(_upright(frame.copy(), decoded.orientation)))
    more = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
    return _Changed("image/png", decoded.width, decoded.height, lambda path: _save_png(frames[0], path, **more))


def _upright(picture: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    # EXIF 2.32, 4.6.4: how the stored picture must be moved to be looked at. Pillow has moved a TIFF already.
    moves = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture if picture.format == "TIFF" or orientation == 1 else picture.transpose(moves[orientation])


def _scaled(image: Image, longest: int) -> Image:
    from PIL.Image import Resampling

    if image.mode in {"1", "P", "PA"} or ("transparency" in image.info and image.mode in {"L", "RGB"}):
        # Palettes and a single transparent colour can't be mixed.
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    return image.resize(_size_within(image.size, longest), Resampling.LANCZOS)


def _size_within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    factor = Fraction(longest, max(size))
    width, height = (max(1, round(side * factor)) for side in size)
    return width, height


def _writable(image: Image) -> Image:
    """As a PNG can hold it."""
    return image if image.mode in _PNG_MODES else image.convert(_INSTEAD.get(image.mode, "RGB"))


def _profile(image: Image) -> bytes | None:
    """Its colour profile, where it still speaks of these colours; bytes 16 to 19 say of which (ICC.1:2022, 7.2.6)."""
    profile = image.info.get("icc_profile")
    space = b"GRAY" if image.mode in _GREY else b"CMYK" if image.mode == "CMYK" else b"RGB "
    return profile if isinstance(profile, bytes) and profile[16:20] == space else None


def _save_png(image: Image, path: Path, **more: object) -> None:
    image.save(path, "PNG", compress_level=1, icc_profile=_profile(image), **more)


def _rewrite(path: Path, save: Callable[[Path], None]) -> None:
    part = path.with_name(f"{path.name}.new")
    try:
        save(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _check_ratio(decoded: Decoded, allowed: tuple[Fraction, Fraction] | None) -> None:
    if allowed is None:
        return
    low, high = allowed
    ratio = Fraction(decoded.width, decoded.height)
    if not low * (1 - _TOLERANCE) <= ratio <= high * (1 + _TOLERANCE):
        wanted = f"{_said(low)} is allowed" if low == high else f"between {_said(low)} and {_said(high)} is allowed"
        raise PictureProblem(f"is {decoded.width} by {decoded.height} pixels ({_said(ratio)}); {wanted}")


def _check_side(decoded: Decoded, least: int | None, longest: int | None) -> None:
    size = decoded.width, decoded.height
    scaled = _size_within(size, longest) if longest else size
    if least is not None and min(scaled) < least:
        then = f", {scaled[0]} by {scaled[1]} once it is scaled down" if longest else ""
        raise PictureProblem(f"is {size[0]} by {size[1]} pixels{then}; at least {least} on each side are needed")


def _said(ratio: Fraction) -> str:
    """`16:9`, or `2.35:1` where the whole numbers are too large to say anything."""
    if max(ratio.numerator, ratio.denominator) <= 100:
        return f"{ratio.numerator}:{ratio.denominator}"
    return f"{float(ratio):.2f}:1" if ratio >= 1 else f"1:{float(1 / ratio):.2f}"
