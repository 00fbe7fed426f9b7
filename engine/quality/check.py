"""What a check of a result is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Check:
    """A measure of one picture, and the scores that pass.

    Attributes:
        name: as maps write it.
        measures: what the score is, for people.
        score: gives it for a picture (RGB, upright), and the picture to compare with (RGB; None where the check does
            not compare). Pure: the same pictures give the same score, a finite number.
        minimum: the least score that passes, where a map names none; None for no bound.
        maximum: the highest likewise.
        compares: whether it needs a picture of the caller's to compare with.
    """

    name: str
    measures: str
    score: Callable[[Image, Image | None], float]
    minimum: float | None = None
    maximum: float | None = None
    compares: bool = False
