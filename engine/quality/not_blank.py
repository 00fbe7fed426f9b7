"""Whether a picture is one flat colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check
from engine.quality.measuring import sampled, share_above, widest

if TYPE_CHECKING:
    from PIL.Image import Image

_NEARLY = 12


def away_from_middle(picture: Image, against: Image | None) -> float:  # noqa: ARG001 - every check is called alike
    """Which share of the pixels differs from the picture's middle colour, by more than 12 of 256 levels in a channel.

    The middle colour is the median of each channel: of a picture that is flat but for a caption, it is the flat one.
    The 12 levels let faint noise and the traces of JPEG on a flat colour count as flat. Strong noise isn't blank, and
    nor is a gradient through more than some 25 levels: a clear sky is one.
    """
    from PIL import Image as Pictures
    from PIL import ImageChops, ImageStat

    small = sampled(picture)
    middle = tuple(int(each) for each in ImageStat.Stat(small).median)
    flat = Pictures.new("RGB", small.size, middle)
    return share_above(widest(ImageChops.difference(small, flat)), _NEARLY)


NOT_BLANK = Check(
    "not_blank",
    "which share of the pixels differs visibly from the picture's middle colour, 0 to 1",
    away_from_middle,
    minimum=0.005,
)
