"""Checks that accept or reject a picture: small functions on Pillow images, by name. Pure.

Maps name them in `accept`; `new_check.md` says how to add one.
"""

from engine.quality.check import Check
from engine.quality.not_black import NOT_BLACK

__all__ = ["CHECKS", "Check"]

CHECKS: dict[str, Check] = {each.name: each for each in (NOT_BLACK,)}
