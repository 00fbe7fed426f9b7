"""What quality gates made of the results of a job: scores, tries, and which try is the best. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.wording import listed


@dataclass(frozen=True, slots=True)
class Score:
    """What a check made of one picture.

    Attributes:
        check: its name.
        output: whose picture.
        index: of the picture among those of its output.
        score: None where there was no picture, or it could not be read.
        minimum: the least that passes; None for no bound.
        maximum: the highest that passes; None for no bound.
        message: what it means for the caller where it does not pass; None where the map does not say.
    """

    check: str
    output: str
    index: int
    score: float | None
    minimum: float | None
    maximum: float | None
    message: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it lies within its bounds; no score never does."""
        return self.shortfall == 0

    @property
    def shortfall(self) -> float:
        """How far it is from passing, as a part of the bound that it misses; infinite without a score, 0 if it passes.

        A bound of 0 has no parts: the distance itself counts then.
        """
        if self.score is None or not math.isfinite(self.score):
            return math.inf
        if self.minimum is not None and self.score < self.minimum:
            return (self.minimum - self.score) / (abs(self.minimum) or 1.0)
        if self.maximum is not None and self.score > self.maximum:
            return (self.score - self.maximum) / (abs(self.maximum) or 1.0)
        return 0.0

    @property
    def picture(self) -> str:
        """Which picture it is of: `image`, and `image[1]` for the second."""
        return f"{self.output}[{self.index}]" if self.index else self.output

    def __str__(self) -> str:
        """`skin_tone of image is 0.003, must be from 0.02 to 0.9`, after what the map says to that."""
        return f"{self.means} ({self.measured})" if self.means else self.measured

    @property
    def measured(self) -> str:
        """`skin_tone of image is 0.003, must be from 0.02 to 0.9`."""
        found = "could not be judged" if self.score is None else f"is {self.score:.4g}"
        return f"{self.check} of {self.picture} {found}" + ("" if self.passed else f", must be {self.allowed}")

    @property
    def means(self) -> str:
        """What the map says to it; empty where it passed, and where there was nothing to be judged by."""
        return self.message if self.message and self.score is not None and not self.passed else ""

    @property
    def allowed(self) -> str:
        """What passes, in words: `at least 0.06`."""
        return allowed_range(self.minimum, self.maximum)

    def as_dict(self) -> dict[str, Any]:
        """As results show it."""
        return {
            "check": self.check,
            "output": self.output,
            "index": self.index,
            "score": None if self.score is None else round(self.score, 6),
            "min": self.minimum,
            "max": self.maximum,
            "passed": self.passed,
        }


@dataclass(frozen=True, slots=True)
class JudgedTry:
    """One try of a job whose workflow has quality gates.

    Attributes:
        number: the first is 1.
        values: its seeds, by parameter.
        scores: of all its pictures.
    """

    number: int
    values: Mapping[str, int]
    scores: Sequence[Score]

    @property
    def failed(self) -> tuple[Score, ...]:
        """The scores that did not pass."""
        return tuple(score for score in self.scores if not score.passed)

    @property
    def accepted(self) -> bool:
        """Whether all passed."""
        return not self.failed

    @property
    def rank(self) -> tuple[int, float, int]:
        """The best of several tries has the least: scores that failed, by how much in all, and which came first."""
        return len(self.failed), sum(score.shortfall for score in self.failed), self.number

    def as_dict(self) -> dict[str, Any]:
        """As results show it."""
        return {
            "try": self.number,
            "accepted": self.accepted,
            "values": dict(self.values),
            "scores": [score.as_dict() for score in self.scores],
        }


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What became of a job whose workflow has quality gates.

    Attributes:
        chosen: the try that is returned.
        tries: all that gave a result, in their order.
    """

    chosen: JudgedTry
    tries: Sequence[JudgedTry]

    def as_dict(self) -> dict[str, Any]:
        """As results show it."""
        return {
            "accepted": self.chosen.accepted,
            "try": self.chosen.number,
            "tries": [each.as_dict() for each in self.tries],
        }


def in_words(scores: Sequence[Score]) -> str:
    """Scores that did not pass, in a sentence: what the map says to several of them is said once."""
    told: dict[str, list[str]] = {}
    for score in scores:
        told.setdefault(score.means, []).append(score.measured)
    groups = [f"{means} ({listed(measured)})" if means else listed(measured) for means, measured in told.items()]
    return "; ".join(groups)


def allowed_range(minimum: float | None, maximum: float | None) -> str:
    """The scores that pass, in words; `anything` without bounds."""
    if minimum is None and maximum is None:
        return "anything"
    if minimum is None or maximum is None:
        return f"at most {maximum:g}" if minimum is None else f"at least {minimum:g}"
    return f"from {minimum:g} to {maximum:g}"
