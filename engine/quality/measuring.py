"""What several checks do with a picture: bring it to a working size, and count levels. All in Pillow's own loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SAMPLES = 512
"""The longest side, in pixels, that colours are counted at and edges are measured at."""


def sampled(picture: Image, side: int = SAMPLES) -> Image:
    """The picture at a longest side of at most `side`, by leaving pixels out: its colours and its noise stay.

    Args:
        picture: RGB, of any size.
        side: in pixels.
    """
    from PIL.Image import Resampling

    return _within(picture, side, Resampling.NEAREST)


def averaged(picture: Image, side: int = SAMPLES) -> Image:
    """Likewise, by averaging the pixels that fall together: noise and the traces of JPEG fade."""
    from PIL.Image import Resampling

    return _within(picture, side, Resampling.BOX)


def widest(picture: Image) -> Image:
    """Of each pixel, its highest channel: one band."""
    from PIL import ImageChops

    first, *others = picture.split()
    for band in others:
        first = ImageChops.lighter(first, band)
    return first


def share_above(band: Image, level: int) -> float:
    """Which share of a band's pixels is above a level, from 0 to 1."""
    counts = band.histogram()
    return sum(counts[level + 1 :]) / sum(counts)


def level_reached(band: Image, share: float) -> int:
    """The highest level, 0 to 255, that at least such a share of a band's pixels reaches (and at least one)."""
    counts = band.histogram()
    wanted = max(1.0, share * sum(counts))
    found = 0
    for level in range(255, -1, -1):
        found += counts[level]
        if found >= wanted:
            return level
    return 0


def _within(picture: Image, side: int, way: int) -> Image:
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(each * side / longest)) for each in picture.size)
    return picture.resize((width, height), way)
