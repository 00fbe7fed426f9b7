"""Whether a picture is sharp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check
from engine.quality.measuring import averaged, level_reached

if TYPE_CHECKING:
    from PIL.Image import Image

_SHARE = 0.01
_FAINT = 16
_LAPLACIAN = (0, -1, 0, -1, 4, -1, 0, -1, 0)


def edges(picture: Image, against: Image | None) -> float:  # noqa: ARG001 - every check is called alike
    """How abrupt the picture's sharpest edges are: its Laplacian as a share of its contrast, from 0 to 1.

    Measured is the Laplacian that the strongest hundredth of the pixels reaches, in a luminance stretched to the full
    range first, so that a dark picture is as sharp as a light one. The strongest, not the mean or the variance
    (Pech-Pacheco and others, "Diatom autofocusing in brightfield microscopy", 2000): a face before a blurred
    background is sharp, and the faint steps between the blocks of JPEG, many as they are, don't make a blurred
    picture sharp.

    A picture larger than 512 pixels is brought to that size first: the same picture has about the same score at every
    size above it, and a blur of a pixel or two in a large picture doesn't show. Below that size it is measured as it
    is.
    """
    from PIL import ImageChops, ImageFilter

    grey = averaged(picture).convert("L")
    if min(grey.size) < 3:
        return 0.0
    light, dark = level_reached(grey, _SHARE), 255 - level_reached(ImageChops.invert(grey), _SHARE)
    contrast = max(light - dark, _FAINT)
    full = grey.point([min(255, max(0, round((level - dark) * 255 / contrast))) for level in range(256)])
    rising = full.filter(ImageFilter.Kernel((3, 3), _LAPLACIAN, scale=1))
    falling = full.filter(ImageFilter.Kernel((3, 3), [-each for each in _LAPLACIAN], scale=1))
    # Pillow leaves the pixels at the border as they were.
    inner = (1, 1, grey.width - 1, grey.height - 1)
    return level_reached(ImageChops.lighter(rising, falling).crop(inner), _SHARE) / 255


SHARPNESS = Check(
    "sharpness",
    "how abrupt the sharpest edges are, as a share of the picture's contrast, 0 (blurred) to 1",
    edges,
    minimum=0.1,
)
