"""Whether a picture differs from the one that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check
from engine.quality.measuring import widest

if TYPE_CHECKING:
    from PIL.Image import Image

_CELLS = 32


def difference(picture: Image, against: Image | None) -> float:
    """How far the picture is from the other: 0 for the same one, 1 for black and white.

    Both are averaged to 32 by 32 cells, which takes out what JPEG and another size change, and the cells are compared
    channel by channel. The score is the mean of the fourth powers of their differences, and of that the fourth root:
    one face that changed in a large picture counts, and more of it, or a stronger change, counts more.

    Args:
        picture: RGB.
        against: the caller's, RGB; None is black.
    """
    from PIL import Image as Pictures
    from PIL import ImageChops

    size = (_CELLS, _CELLS)
    mine = picture.resize(size, Pictures.Resampling.BOX)
    other = Pictures.new("RGB", size) if against is None else against.resize(size, Pictures.Resampling.BOX)
    counts = widest(ImageChops.difference(mine, other)).histogram()
    powers = sum(count * (level / 255) ** 4 for level, count in enumerate(counts))
    return float((powers / sum(counts)) ** 0.25)


NOT_IDENTICAL_TO_INPUT = Check(
    "not_identical_to_input",
    "how far the picture is from the caller's, 0 (the same) to 1",
    difference,
    minimum=0.02,
    compares=True,
)
