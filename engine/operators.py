"""The operators of a parameter map, compiled: nodes repeated for each item of a list, parts turned on and off. Pure.

They come after the places are written, repeats before switches, so that a switch turns off all copies of a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import Problem
from engine.expression_sandbox import value_at
from engine.expressions import Expression, Names
from engine.fitting import fitted
from engine.graph import Graph, label_of
from engine.nodes import InputSpec, NodeCatalogue
from engine.rewiring import Loose, Wiring
from engine.wording import kind_of

MAX_COPIES = 100
"""The most items a node is repeated for: a graph of more is a mistake, or an attack."""


@dataclass(frozen=True, slots=True)
class Setter:
    """What one input of a repeated node gets, item by item.

    Attributes:
        input_name: the input.
        spec: of it; None where the node catalogue does not know it.
        expression: over `item` and the parameters.
        choices: what the input takes, where that may be enforced offline.
        checked: the keys of an item below which lies a plain value that the payload's own validation holds to the input
            already; None where that may not be so.
    """

    input_name: str
    spec: InputSpec | None
    expression: Expression
    choices: tuple[Any, ...] | None
    checked: tuple[str, ...] | None = None

    @property
    def keys(self) -> tuple[str, ...] | None:
        """`("name",)` of the expression `item.name`, none of `item`; None of all that is computed."""
        path = self.expression.path
        return path[1:] if path[:1] == ("item",) else None


@dataclass(frozen=True, slots=True)
class Row:
    """A node that stands once for each item of a list; see `engine.map_parts.Repeat`.

    Attributes:
        node_id: the node.
        over: gives the list.
        through: input to the output of the node before.
        setters: what differs from item to item.
        passing: output to input, for an empty list.
        may_be_empty: whether the list can have no item, as far as the map tells.
    """

    node_id: str
    over: Expression
    through: Mapping[str, int]
    setters: tuple[Setter, ...]
    passing: Mapping[int, str]
    may_be_empty: bool

    @property
    def source(self) -> str:
        """What the list is called: the name of a parameter, where it is one."""
        return self.over.source.strip()


@dataclass(frozen=True, slots=True)
class Gate:
    """Nodes that take part while a condition holds; see `engine.map_parts.Switch`.

    Attributes:
        name: of the switch.
        when: gives true or false.
        bypass: node to what passes it by where the gate is shut: output to input.
        remove: nodes that go where it is.
    """

    name: str
    when: Expression
    bypass: Mapping[str, Mapping[int, str]]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What one payload makes of the operators.

    Attributes:
        items: repeated node to what its inputs get, for each item.
        shut: the names of the switches that are off.
    """

    items: Mapping[str, Sequence[Mapping[str, Any]]]
    shut: frozenset[str]


@dataclass(frozen=True, slots=True)
class Operators:
    """All operators of a map, in its order."""

    rows: tuple[Row, ...] = ()
    gates: tuple[Gate, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.gates)

    def rebuild(self, wiring: Wiring, state: State, taken: Graph) -> list[Loose]:
        """Repeat and switch.

        Args:
            wiring: of the graph, which is changed; nodes that it lacks are passed over.
            state: of `state_of`, or one to try.
            taken: the template, whose ids no copy may have.

        Returns:
            The inputs that lost their link.
        """
        graph = wiring.graph
        rows: dict[str, list[str]] = {}
        loose: list[Loose] = []
        for row in self.rows:
            items = state.items[row.node_id]
            if row.node_id not in graph:
                continue
            if items:
                rows[row.node_id] = wiring.lined_up(row.node_id, row.through, items, taken)
            else:
                loose += wiring.pass_by(row.node_id, row.passing)
        for gate in self.gates:
            if gate.name not in state.shut:
                continue
            for node_id, passing in gate.bypass.items():
                for each in rows.get(node_id, [node_id]):
                    loose += wiring.pass_by(each, passing) if each in graph else []
            if gate.remove:
                loose += wiring.leave_out([each for node_id in gate.remove for each in rows.get(node_id, [node_id])])
        return loose

    def state_of(self, names: Names, template: Graph) -> tuple[State, list[Problem]]:
        """What the values make of each operator, with what is wrong with that.

        Args:
            names: of the values.
            template: for messages.
        """
        problems: list[Problem] = []
        items: dict[str, Sequence[Mapping[str, Any]]] = {}
        for row in self.rows:
            try:
                items[row.node_id], wrong = _inputs_of(row, _listed(row, names), names)
            except ValueError as error:
                problems.append(Problem(f"repeat of {label_of(template, row.node_id)}", str(error)))
                continue
            for item, message in wrong:
                problems.append(Problem(f"repeat of {label_of(template, row.node_id)}, {item}", message))
        shut = set()
        for gate in self.gates:
            try:
                holds = gate.when.evaluate(names)
                if not isinstance(holds, bool):
                    raise ValueError(f"`when` must give true or false, it gives {kind_of(holds)}: {gate.when.source}")
            except ValueError as error:
                problems.append(Problem(f"switch {gate.name}", str(error)))
            else:
                shut |= set() if holds else {gate.name}
        return State(items, frozenset(shut)), problems

    def trials(self) -> Iterator[tuple[str, State]]:
        """What is tried at load, each with words for it.

        Every switch alone and all of them off; every list of two items, and empty, unless it never is.
        """
        once: dict[str, Sequence[Mapping[str, Any]]] = {row.node_id: [{}] for row in self.rows}
        nothing: frozenset[str] = frozenset()
        for row in self.rows:
            where = f"repeat.{row.node_id}"
            if row.may_be_empty:
                yield f"{where} with no item", State({**once, row.node_id: []}, nothing)
            yield f"{where} with two items", State({**once, row.node_id: [{}, {}]}, nothing)
        for gate in self.gates:
            yield f"switches.{gate.name} off", State(once, frozenset({gate.name}))
        if len(self.gates) > 1:
            yield "switches, all of them off", State(once, frozenset(gate.name for gate in self.gates))


def still_needed(loose: Sequence[Loose], graph: Graph, nodes: NodeCatalogue) -> list[Loose]:
    """Those of the inputs without a link that ComfyUI requires.

    Args:
        loose: what lost its link.
        graph: after all that, pruned.
        nodes: says which inputs are required; of a class that it does not know, none is.
    """
    found = []
    for each in loose:
        node = graph.get(each.node_id)
        if node is None or each.input_name in node["inputs"]:
            continue
        spec = nodes.input(node["class_type"], each.input_name)
        if spec is not None and spec.required:
            found.append(each)
    return sorted(set(found))


def _listed(row: Row, names: Names) -> list[Any]:
    # What was looked up and no more is not copied: only its items are read.
    found = names.at(row.over.path) if row.over.path else row.over.evaluate(names)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError(f"`over` must give a list, it gives {kind_of(found)}: {row.over.source}")
    if len(found) > MAX_COPIES:
        raise ValueError(f"`over` gives {len(found)} items, at most {MAX_COPIES} can be made: {row.over.source}")
    return found


def _inputs_of(row: Row, items: list[Any], names: Names) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """What the inputs get, item by item; and what is wrong: with which item, and why."""
    made: list[dict[str, Any]] = []
    wrong: list[tuple[str, str]] = []
    looks_up = all(setter.checked is not None for setter in row.setters)
    for number, item in enumerate(items):
        below = names if looks_up else names.with_item(item)
        inputs: dict[str, Any] = {}
        for setter in row.setters:
            try:
                if setter.checked is not None:
                    value = value_at(item, setter.checked)
                elif (value := setter.expression.evaluate(below)) is not None:
                    value = fitted(value, setter.spec, setter.choices)
                if value is not None:
                    inputs[setter.input_name] = value
            except ValueError as error:
                which = f"{row.source}[{number}]" if row.source.isidentifier() else f"item {number + 1} of {len(items)}"
                wrong.append((which, f"{setter.input_name}: {error}; computed by: {setter.expression.source}"))
        made.append(inputs)
    return made, wrong
