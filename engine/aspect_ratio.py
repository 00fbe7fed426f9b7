"""Aspect ratios as people write them: `16:9`. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_SIDE = r"[0-9]{1,5}(\.[0-9]{1,3})?"
PATTERN = f"^{_SIDE}:{_SIDE}$"
"""A ratio as text, for JSON Schema."""


def ratio_of(text: str) -> Fraction:
    """Width divided by height of a text such as `16:9` or `2.35:1`.

    Raises:
        ValueError: it is none; the text says why.
    """
    if not re.fullmatch(f"{_SIDE}:{_SIDE}", text):
        raise ValueError(f'"{text}" is no aspect ratio; write width:height, such as "16:9"')
    width, height = (Fraction(side) for side in text.split(":"))
    if not width or not height:
        raise ValueError(f'"{text}" is no aspect ratio; width and height must be above 0')
    return width / height


def bounds_of(written: str | list[str]) -> tuple[Fraction, Fraction]:
    """The least and the greatest ratio that one ratio, or a list of two, allows.

    Raises:
        ValueError: it is neither, or the two stand the wrong way round; the text says why.
    """
    if isinstance(written, str):
        return ratio_of(written), ratio_of(written)
    if len(written) != 2:
        raise ValueError('a range has two ratios, the narrowest and the widest: ["1:2", "2:1"]')
    low, high = (ratio_of(text) for text in written)
    if low > high:
        raise ValueError(f'the range is upside down: "{written[0]}" is wider than "{written[1]}"')
    return low, high
