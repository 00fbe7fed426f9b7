"""What a workflow is made of once it was checked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.bindings import Place
from engine.expressions import Expression
from engine.gates import Gates
from engine.nodes import InputSpec
from engine.operators import Operators
from engine.payload import ChoiceList, PayloadValidator
from engine.results import OutputKind
from engine.schema import Parameter


@dataclass(frozen=True, slots=True)
class Writer:
    """What writes one place.

    Attributes:
        place: where.
        spec: of the input there; None where the node catalogue does not know it.
        parameter: the name of the parameter whose value goes there; empty for an expression.
        expression: what is computed for it otherwise.
        replaces_link: the place held a link.
        choices: what the input takes, where that may be enforced offline.
    """

    place: Place
    spec: InputSpec | None
    parameter: str = ""
    expression: Expression | None = None
    replaces_link: bool = False
    choices: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeclaredOutput:
    """A node whose results are returned under a name; see `engine.map_parts.Output`."""

    name: str
    node_id: str
    kind: OutputKind | None
    title: str = ""
    description: str = ""


@dataclass(slots=True)
class Compiled:
    """What a workflow is made of, once checked.

    Attributes:
        parameters: as the map has them, their ranges narrowed to those of the inputs they are bound to.
        defaults: the value of each parameter that may be left out.
        writers: what is written where.
        rules: expression and message of each.
        outputs: what is returned.
        operators: what a payload repeats and switches.
        gates: what a result must be like.
        choice_lists: parameters whose values come from lists of the node catalogue.
        choices: those lists, where they hold without asking a running ComfyUI.
        validator: of payloads.
        warnings: what may be wrong, for `engine check`.
    """

    parameters: dict[str, Parameter]
    defaults: dict[str, Any] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    rules: list[tuple[Expression, str]] = field(default_factory=list)
    outputs: tuple[DeclaredOutput, ...] = ()
    operators: Operators = field(default_factory=Operators)
    gates: Gates = field(default_factory=Gates)
    choice_lists: list[ChoiceList] = field(default_factory=list)
    choices: dict[str, Sequence[Any]] = field(default_factory=dict)
    validator: PayloadValidator = field(init=False)
    warnings: list[str] = field(default_factory=list)
