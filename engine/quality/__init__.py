"""Checks that accept or reject a picture: small functions on Pillow images, by name. Pure.

Maps name them in `accept`; `new_check.md` says how to add one.
"""

from engine.quality.check import Check
from engine.quality.not_black import NOT_BLACK
from engine.quality.not_blank import NOT_BLANK
from engine.quality.not_identical_to_input import NOT_IDENTICAL_TO_INPUT
from engine.quality.sharpness import SHARPNESS
from engine.quality.skin_tone import SKIN_TONE

__all__ = ["CHECKS", "Check"]

CHECKS: dict[str, Check] = {
    each.name: each for each in (SKIN_TONE, NOT_BLANK, NOT_BLACK, SHARPNESS, NOT_IDENTICAL_TO_INPUT)
}
