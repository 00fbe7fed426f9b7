"""Whether a picture is black, as a failed decoding or a safety filter leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check
from engine.quality.measuring import level_reached, sampled, widest

if TYPE_CHECKING:
    from PIL.Image import Image

_SHARE = 0.01


def light(picture: Image, against: Image | None) -> float:  # noqa: ARG001 - every check is called alike
    """How light the lightest hundredth of the picture is: the value (HSV) that it reaches, from 0 to 1.

    Black pictures are all zeros: a decoder whose numbers overflowed gives NaN, which becomes 0 as it is made a byte,
    and safety filters put zeros in a picture's place. JPEG makes a level or two of that. A picture taken at night has
    lamps, a moon or a face of more than a hundredth; a stuck pixel or a small caption on black is less and does not
    count. The value, not the luminance: a deep blue is not black.
    """
    return level_reached(widest(sampled(picture)), _SHARE) / 255


NOT_BLACK = Check("not_black", "how light the lightest hundredth of the picture is, 0 to 1", light, minimum=0.06)
