"""The quality gates of a map, checked and made ready to use. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from engine.expressions import Expression
from engine.gates import Gate, Gates
from engine.map_parts import QualityGate
from engine.quality import CHECKS, Check
from engine.results import OutputKind
from engine.schema import ParameterMap, PictureParameter
from engine.wording import did_you_mean, listed, shown

RETRIES = 3
"""How often a result that does not pass is made anew where the map does not say."""

Outputs = Mapping[str, OutputKind | None]
"""The names of a workflow's outputs, with the kind where it is known."""

Report = Callable[[str, str], None]
"""Takes where in the map something is wrong, and what."""

Compile = Callable[[str, str], Expression | None]
"""Takes where an expression stands and its source; gives it, or reports why it is none."""


def compile_gates(
    parameter_map: ParameterMap, outputs: Outputs, seeds: Collection[str], *, compiled: Compile, problem: Report
) -> Gates:
    """Check the quality gates of a map one by one.

    Args:
        parameter_map: whose they are.
        outputs: what the workflow returns.
        seeds: the parameters that another try would draw anew.
        compiled: makes an expression, or reports why it is none.
        problem: is told what is wrong.
    """
    found = []
    for index, each in enumerate(parameter_map.accept):
        gate = _Compiler(parameter_map, outputs, f"accept[{index}]", compiled, problem).gate(each)
        found += [gate] if gate else []
    if not parameter_map.accept:
        for key, without in (("retries", parameter_map.retries), ("otherwise", parameter_map.otherwise == "fail")):
            if without is not None and without is not False:
                problem(key, "it says what becomes of results that do not pass, and there is no `accept` to pass")
    elif parameter_map.retries and not seeds:
        problem("retries", "no seed to draw anew: every try would give the same; bind a parameter of type seed, or 0")
    retries = parameter_map.retries if parameter_map.retries is not None else RETRIES if seeds else 0
    return Gates(tuple(found), retries, parameter_map.otherwise, tuple(seeds))


class _Compiler:
    def __init__(
        self, parameter_map: ParameterMap, outputs: Outputs, place: str, compiled: Compile, problem: Report
    ) -> None:
        self.map, self.outputs, self.place = parameter_map, outputs, place
        self.compiled, self.problem = compiled, problem
        self.is_good = True

    def gate(self, declared: QualityGate) -> Gate | None:
        """The gate; None where something is wrong, and was reported."""
        check = CHECKS.get(declared.check)
        if check is None:
            guess = did_you_mean(declared.check, CHECKS)
            self._wrong("check", f"unknown check {shown(declared.check)}{guess}; the checks are: {listed(CHECKS)}")
        output = self._output(declared.output)
        minimum = check.minimum if check and declared.min is None else declared.min
        maximum = check.maximum if check and declared.max is None else declared.max
        if minimum is not None and maximum is not None and minimum > maximum:
            own = "the check's own "
            low = f"{'' if declared.min is not None else own}min {minimum:g}"
            high = f"{'' if declared.max is not None else own}max {maximum:g}"
            self._wrong("", f"no score passes: {low} is above {high}")
        against = self._input(check, declared.input) if check else None
        when = self._when(declared.when)
        if check is None or not self.is_good:
            return None
        return Gate(self.place, check, output, minimum, maximum, against, when, declared.message)

    def _wrong(self, key: str, message: str) -> None:
        self.is_good = False
        self.problem(f"{self.place}.{key}" if key else self.place, message)

    def _output(self, name: str | None) -> str:
        if name is not None:
            kind = self.outputs.get(name)
            if name not in self.outputs:
                guess = did_you_mean(name, self.outputs)
                self._wrong("output", f"no output {shown(name)}{guess}; the outputs are: {listed(self.outputs)}")
            elif kind not in {"image", None}:
                self._wrong("output", f"the output {name} is of kind {kind}; only pictures (image) are judged")
            return name
        pictures = [each for each, kind in self.outputs.items() if kind == "image"]
        pictures = pictures or [each for each, kind in self.outputs.items() if kind is None]
        if len(pictures) == 1:
            return pictures[0]
        if pictures:
            self._wrong("output", f"say whose pictures are judged; the outputs are: {listed(pictures)}")
        else:
            self._wrong("output", "no output of kind image: nothing can be judged")
        return ""

    def _input(self, check: Check, name: str | None) -> str | None:
        if not check.compares:
            if name is not None:
                self._wrong("input", f"{check.name} compares with no picture; leave `input` out")
            return None
        pictures = [each for each, parameter in self.map.parameters.items() if _is_picture(parameter)]
        if name is not None:
            if name not in pictures:
                guess = did_you_mean(name, pictures)
                known = f"; those are: {listed(pictures)}" if pictures else "; there is none"
                self._wrong("input", f"{shown(name)} is no parameter of type image or mask{guess}{known}")
            return name
        # What is drawn anew is compared with the picture it was made of, and hardly with a mask.
        images = [each for each in pictures if self.map.parameters[each].type == "image"]
        if len(images) == 1:
            return images[0]
        if pictures:
            self._wrong("input", f"say which picture {check.name} compares with: {listed(pictures)}")
        else:
            self._wrong("input", f"{check.name} compares with a picture of the caller's, and no parameter is one")
        return None

    def _when(self, source: str | None) -> Expression | None:
        if source is None:
            return None
        expression = self.compiled(f"{self.place}.when", source)
        if expression is None:
            self.is_good = False
        elif reason := expression.misfit("true or false"):
            self._wrong("when", reason)
        return expression


def _is_picture(parameter: object) -> bool:
    return isinstance(parameter, PictureParameter)
