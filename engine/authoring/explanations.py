"""Why a rendered graph differs from its template: the parameter, expression, switch or repeat behind each change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.authoring.checking.subject import Subject
from engine.authoring.differences import InputChange, NodeChange, differences, value_words
from engine.expression_filters import ExpressionFailed
from engine.expressions import ExpressionInvalid, compile_expression, context_of
from engine.graph import Graph, as_link, label_of, needed_by
from engine.node_packs import KnownPacks
from engine.nodes import NodeCatalogue
from engine.schema import ParameterMap, SeedParameter
from engine.wording import listed, one_line
from engine.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Cause:
    """What is behind a change.

    Attributes:
        parameters: the names of those that decide it: `steps`, `loras[1].name`.
        sent: those of them that the payload holds.
        drawn: those of them that were drawn: seeds.
        expression: what was computed, where one did it.
        operator: the switch or repeat: `switches.control`, `repeat.10`.
        reason: what there is to say beside these.
    """

    parameters: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    expression: str = ""
    operator: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types; what is empty is left out."""
        values = {
            "parameters": list(self.parameters),
            "sent": list(self.sent),
            "drawn": list(self.drawn),
            "expression": self.expression,
            "operator": self.operator,
            "reason": self.reason,
        }
        return {key: value for key, value in values.items() if value}

    def __str__(self) -> str:
        """For people: `steps`, `width; computed: width * 3 // 4`."""
        names = listed(map(self._named, self.parameters))
        parts = [names] if self.parameters else []
        parts += [f"computed: {one_line(self.expression, 80)}"] if self.expression else []
        operator = ": ".join(part for part in (self.operator, self.reason) if part)
        return "; ".join([*parts, operator] if operator else parts)

    def _named(self, name: str) -> str:
        return name + ("" if name in self.sent else ", drawn" if name in self.drawn else ", not sent")


@dataclass(frozen=True, slots=True)
class Explained:
    """A change with what is behind it.

    Attributes:
        change: of one node.
        cause: of the node's being dropped or added.
        inputs: the cause of each input's change, in the order of the change's.
    """

    change: NodeChange
    cause: Cause
    inputs: tuple[Cause, ...]

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        document = self.change.as_dict()
        for entry, cause in zip(document["inputs"], self.inputs, strict=True):
            entry["by"] = cause.as_dict()
        return document | ({"by": self.cause.as_dict()} if self.cause != Cause() else {})


class Explanation:
    """What a payload changed in a template.

    Args:
        workflow: whose template it is.
        nodes: the node catalogue that it was loaded with.
        payload: what was sent.
        values: what validating made of it.
        graph: what rendering made of that.
    """

    def __init__(
        self,
        workflow: Workflow,
        nodes: NodeCatalogue,
        *,
        payload: Mapping[str, Any],
        values: Mapping[str, Any],
        graph: Graph,
    ) -> None:
        self._workflow = workflow
        self._map: ParameterMap = workflow.parameter_map
        self._subject = Subject(
            workflow.name, workflow.template, nodes, packs=KnownPacks(), parameter_map=self._map, workflow=workflow
        )
        self._payload = payload
        self._values = workflow.without_media(values, {}) | {"workflow": workflow.name, "job_id": ""}
        self._graph = graph
        self._off = dict(self._switched_off())

    def changes(self) -> tuple[Explained, ...]:
        """Every change, in the order of the template."""
        found = differences(self._workflow.template, self._graph, original_of=self._workflow.original_of)
        return tuple(Explained(each, self._of_node(each), tuple(self._of_inputs(each))) for each in found)

    def lines(self) -> Iterator[str]:
        """The same for people."""
        template = self._workflow.template
        for each in self.changes():
            change = each.change
            if change.kind == "dropped":
                yield f"{change.heading()}  dropped: {each.cause}"
                continue
            copied = f"  added, a copy of {label_of(template, change.copy_of)}: {each.cause}" if change.copy_of else ""
            yield change.heading() + copied
            for one, cause in zip(change.inputs, each.inputs, strict=True):
                before, after = value_words(one.before, template), value_words(one.after, self._graph)
                yield f"  {one.name}: {before} -> {after}   ({cause})"

    def _switched_off(self) -> Iterator[tuple[str, str]]:
        """Nodes that a switch takes out, with its name."""
        for name, switch in self._map.switches.items():
            if self._evaluated(switch.when) is False:
                yield from ((node_id, name) for node_id in (*switch.bypass, *switch.remove))

    def _evaluated(self, source: str) -> Any:
        try:
            return compile_expression(source, self._values).evaluate(context_of(self._values))
        except (ExpressionInvalid, ExpressionFailed):
            return None

    def _of_node(self, change: NodeChange) -> Cause:
        node_id = change.node_id
        if change.kind == "added":
            repeat = self._map.repeat.get(change.copy_of)
            return self._cause_of(f"repeat.{change.copy_of}", repeat.over) if repeat else Cause()
        if change.kind == "changed":
            return Cause()
        if node_id in self._off:
            name = self._off[node_id]
            return self._cause_of(f"switches.{name}", self._map.switches[name].when, "off")
        if (repeat := self._map.repeat.get(node_id)) and not self._evaluated(repeat.over):
            return self._cause_of(f"repeat.{node_id}", repeat.over, "the list is empty")
        template = self._workflow.template
        ends = [output.node_id for output in self._workflow.outputs]
        before = node_id in needed_by(template, ends)
        return Cause(reason=f"no output needs it{' any more' if before else ''}")

    def _of_inputs(self, change: NodeChange) -> Iterator[Cause]:
        for each in change.inputs:
            yield self._of_input(change, each)

    def _of_input(self, change: NodeChange, each: InputChange) -> Cause:
        original = change.copy_of or change.node_id
        names = self._workflow.parameters_at(change.node_id, each.name)
        repeat = self._map.repeat.get(original)
        if repeat and each.name in repeat.set:
            plain = not self._workflow.is_computed(change.node_id, each.name)
            expression = "" if plain else repeat.set[each.name]
            return self._cause(names, expression=expression, operator=f"repeat.{original}")
        writer = self._subject.written_at(original, each.name)
        written = writer is not None and not (as_link(each.after) and writer.parameter)
        if writer is not None and written and not self._leads_as_before(writer.expression, each.before):
            return self._cause(names, expression=writer.expression)
        return self._of_link(original, each)

    def _leads_as_before(self, expression: str, before: Any) -> bool:
        """Whether an expression gives the link that the template has, so that what changed it came after."""
        link = as_link(before)
        return link is not None and bool(expression) and as_link(self._evaluated(expression)) == link

    def _of_link(self, original: str, each: InputChange) -> Cause:
        """Why an input that nothing writes is linked otherwise: what it was linked to is gone, or was copied."""
        before, after = as_link(each.before), as_link(each.after)
        passed = self._passed_by(before[0] if before else "")
        for node_id in passed:
            if node_id in self._off:
                name = self._off[node_id]
                return self._cause_of(f"switches.{name}", self._map.switches[name].when, "off")
        copied = self._workflow.original_of(after[0]) if after else ""
        for node_id in (*passed, copied, original):
            if node_id in self._map.repeat:
                return self._cause_of(f"repeat.{node_id}", self._map.repeat[node_id].over)
        return Cause()

    def _passed_by(self, node_id: str) -> tuple[str, ...]:
        """The node that was linked to, and those before it that are gone as well."""
        template = self._workflow.template
        found: dict[str, None] = {}
        waiting = [node_id]
        while waiting:
            each = waiting.pop()
            if each in template and each not in found and (each == node_id or each not in self._graph):
                found[each] = None
                waiting += [link[0] for value in template[each].get("inputs", {}).values() if (link := as_link(value))]
        return tuple(found)

    def _cause_of(self, operator: str, source: str, reason: str = "") -> Cause:
        names = tuple(sorted(self._subject.names_in(source)))
        return self._cause(names, operator=operator, reason=reason)

    def _cause(self, names: tuple[str, ...], *, expression: str = "", operator: str = "", reason: str = "") -> Cause:
        owners = {name: re.split(r"[.\[]", name)[0] for name in names}
        drawn = tuple(name for name, owner in owners.items() if self._is_drawn(owner))
        sent = tuple(name for name, owner in owners.items() if owner in self._payload and name not in drawn)
        return Cause(names, sent, drawn, expression, operator, reason)

    def _is_drawn(self, name: str) -> bool:
        parameter = self._workflow.parameters.get(name)
        if not isinstance(parameter, SeedParameter):
            return False
        return bool(self._payload.get(name, parameter.default if parameter.has_default else -1) == -1)
