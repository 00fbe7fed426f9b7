"""Whether a picture is black, as a failed decoding or a safety filter leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.quality.check import Check

if TYPE_CHECKING:
    from PIL.Image import Image


def brightest(picture: Image, against: Image | None) -> float:  # noqa: ARG001 - every check is called alike
    """The brightest luminance in the picture, from 0 (black) to 1."""
    low_and_high = picture.convert("L").getextrema()
    return float(low_and_high[1]) / 255  # type: ignore[arg-type]  # of one band: two numbers


NOT_BLACK = Check("not_black", "the brightest luminance in the picture, from 0 to 1", brightest, minimum=0.06)
