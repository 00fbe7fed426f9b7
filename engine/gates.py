"""Quality gates, compiled: what a result must be like, and what becomes of a job whose results are not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import Problem, RenderFailed
from engine.expression_filters import ExpressionFailed
from engine.expressions import Expression, context_of
from engine.quality import Check
from engine.verdicts import Score, allowed_range
from engine.wording import kind_of


@dataclass(frozen=True, slots=True)
class Gate:
    """A check that the pictures of one output must pass; see `engine.map_parts.QualityGate`.

    Attributes:
        place: its key in the map: `accept[0]`.
        check: gives the score.
        output: whose pictures.
        minimum: the least score that passes; None for no bound.
        maximum: the highest likewise.
        input: the parameter with the picture to compare with; None for a check that does not compare.
        when: whether it is asked for; None for always.
        message: what a score out of bounds means, for the caller; None where the map does not say.
    """

    place: str
    check: Check
    output: str
    minimum: float | None = None
    maximum: float | None = None
    input: str | None = None
    when: Expression | None = None
    message: str | None = None

    def score(self, index: int, value: float | None) -> Score:
        """What a score of one of the output's pictures means; None where it could not be told."""
        return Score(self.check.name, self.output, index, value, self.minimum, self.maximum, self.message)

    def as_dict(self) -> dict[str, Any]:
        """As descriptions of a workflow show it."""
        described = {
            "check": self.check.name,
            "measures": self.check.measures,
            "output": self.output,
            "min": self.minimum,
            "max": self.maximum,
            "input": self.input,
            "when": self.when.source if self.when else None,
            "message": self.message,
        }
        return {key: value for key, value in described.items() if value is not None}

    def __str__(self) -> str:
        """What must hold, what that measures, and what the map says of a picture that does not pass."""
        words = f"{self.check.name} of {self.output} {allowed_range(self.minimum, self.maximum)}"
        words += f", compared with {self.input}" if self.input else ""
        words += f", when {self.when.source}" if self.when else ""
        words += f": {self.check.measures}"
        return words + (f". If not: {self.message}" if self.message else "")


@dataclass(frozen=True, slots=True)
class Gates:
    """All quality gates of a map.

    Attributes:
        entries: in the order of the map; none where results are taken as they come.
        retries: how often a result that does not pass is made anew.
        otherwise: what is returned where none passes: the best of them, or a failure.
        seeds: the parameters that decide what another try gives.
    """

    entries: tuple[Gate, ...] = ()
    retries: int = 0
    otherwise: Literal["best", "fail"] = "best"
    seeds: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.entries)

    @property
    def said(self) -> str:
        """What becomes of a result that does not pass, in words."""
        best = self.otherwise == "best"
        if not self.retries:
            return "a result that does not is returned with a warning" if best else "a result that does not is refused"
        times = "once" if self.retries == 1 else f"up to {self.retries} times"
        end = "the best of them is returned with a warning" if best else "the job fails"
        return (
            f"a result that does not is made anew with another seed, {times}; if none passes, {end}; "
            "a seed of the caller's own is kept, unless the request has `retries`"
        )

    def applying(self, names: Mapping[str, Any]) -> tuple[Gate, ...]:
        """Those that a result of these values must pass.

        One whose `when` is false does not apply, nor does one that compares with a picture that was not sent.

        Args:
            names: what expressions may use, with the values; files by their names.

        Raises:
            RenderFailed: a `when` can't be computed, or gives neither true nor false.
        """
        context = context_of(names)
        applying, problems = [], []
        for gate in self.entries:
            try:
                holds = gate.when.evaluate(context) if gate.when else True
            except ExpressionFailed as error:
                problems.append(Problem(f"{gate.place}.when", str(error)))
                continue
            if not isinstance(holds, bool):
                problems.append(Problem(f"{gate.place}.when", f"must give true or false, not {kind_of(holds)}"))
            elif holds and (gate.input is None or names.get(gate.input) is not None):
                applying.append(gate)
        if problems:
            raise RenderFailed(problems=problems, hint="tell the workflow's author; other values may work")
        return tuple(applying)

    def as_dict(self) -> dict[str, Any] | None:
        """As descriptions of a workflow show them; None without any."""
        if not self.entries:
            return None
        return {
            "accept": [gate.as_dict() for gate in self.entries],
            "retries": self.retries,
            "otherwise": self.otherwise,
        }
