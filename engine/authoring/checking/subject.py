"""What is checked: a workflow's two files as far as they could be read, and what follows from them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.authoring.finding import Severity
from engine.bindings import BindingInvalid, Place, resolve
from engine.graph import Graph, links, needed_by
from engine.map_parts import Computed
from engine.node_packs import KnownPacks
from engine.nodes import InputSpec, NodeCatalogue
from engine.schema import (
    ArrayParameter,
    MediaParameter,
    ObjectParameter,
    Parameter,
    ParameterMap,
    SeedParameter,
)
from engine.workflow import Workflow

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


@dataclass(frozen=True, slots=True)
class Written:
    """What writes one place of the template.

    Attributes:
        place: where.
        where: the key in the map.
        parameter: the name of the parameter; empty for an expression.
        expression: its source; empty for a parameter.
        replaces_link: the place held a link.
        always: whatever is sent, the template's own value is gone.
    """

    place: Place
    where: str
    parameter: str = ""
    expression: str = ""
    replaces_link: bool = False
    always: bool = True


class Subject:
    """A workflow to be checked.

    Args:
        name: of the workflow.
        graph: the nodes of the template that are some.
        nodes: the node catalogue to check against.
        packs: the node packs that snapshots have.
        parameter_map: the map, where it could be read as a whole.
        document: the map as JSON; empty where it is none.
        workflow: both together, where they load.

    Attributes:
        template: how findings call the template's file.
        map: how findings call the map's file.
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        nodes: NodeCatalogue,
        *,
        packs: KnownPacks,
        parameter_map: ParameterMap | None = None,
        document: Mapping[str, Any] | None = None,
        workflow: Workflow | None = None,
    ) -> None:
        self.name = name
        self.graph = graph
        self.nodes = nodes
        self.packs = packs
        self.parameter_map = parameter_map
        self.document = document or {}
        self.workflow = workflow
        self.template = f"templates/{name}.json"
        self.map = f"schemas/{name}.json"

    @property
    def refused(self) -> Severity | None:
        """How severe is what ComfyUI refuses: an error where the running one says so, else what the code says."""
        return "error" if self.nodes.live else None

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name; none where the map could not be read."""
        return self.parameter_map.parameters if self.parameter_map else {}

    def spec(self, node_id: str, input_name: str) -> InputSpec | None:
        """What the node catalogue says of an input; None where it does not know it."""
        return self.nodes.input(self.graph[node_id]["class_type"], input_name)

    def literals(self) -> Iterator[tuple[str, str, Any]]:
        """Node id, input and value of every input that holds no link."""
        for node_id, node in self.graph.items():
            linked = {name for name, _ in links(node)}
            for name, value in node.get("inputs", {}).items():
                if name not in linked:
                    yield node_id, name, value

    @cached_property
    def written(self) -> Mapping[Place, Written]:
        """What writes which place. Paths that lead nowhere are left out; the map's own checks tell them."""
        found: dict[Place, Written] = {}
        for each in self._written():
            found.setdefault(each.place, each)
        return found

    def _written(self) -> Iterator[Written]:
        if self.parameter_map is None:
            return
        for name, parameter in self.parameters.items():
            bindings = parameter.bindings
            for index, bound in enumerate(bindings):
                where = f"parameters.{name}.bind" + (f"[{index}]" if len(bindings) > 1 else "")
                for place in self._places(bound.path, bound.match, bound.replaces_link, bound.create):
                    always = parameter.required or not parameter.nullable
                    yield Written(place, where, name, "", bound.replaces_link, always)
        for path, computed in self.parameter_map.computed.items():
            each = Computed(expression=computed) if isinstance(computed, str) else computed
            for place in self._places(path, each.match, each.replaces_link, each.create):
                yield Written(place, f"computed.{path}", "", each.expression, each.replaces_link, always=True)
        for node_id, repeat in self.parameter_map.repeat.items():
            # Without items the node is passed by: what the template holds there is never queued.
            for name, expression in repeat.set.items() if node_id in self.graph else ():
                yield Written(Place(node_id, name), f"repeat.{node_id}.set.{name}", "", expression)

    def _places(self, path: str, match: str, replaces_link: bool, create: bool) -> tuple[Place, ...]:
        try:
            return resolve(
                path,
                self.graph,
                match_all=match == "all",
                replaces_link=replaces_link,
                create=create,
                nodes=self.nodes,
            )
        except BindingInvalid:
            return ()

    def written_at(self, node_id: str, input_name: str) -> Written | None:
        """What writes an input; None where nothing does."""
        return self.written.get(Place(node_id, input_name))

    def literal_counts(self, node_id: str, input_name: str) -> bool:
        """Whether the template's own value in an input may be what is queued, and no other check looks at it.

        A parameter's value that the map has validated does not count, and neither does what is always written over.
        """
        writer = self.written_at(node_id, input_name)
        if writer is None:
            return True
        parameter = self.parameters.get(writer.parameter)
        # Where no file is sent, a map usually has the graph go round the node that loads it.
        return not writer.always and not isinstance(parameter, MediaParameter)

    def default_at(self, node_id: str, input_name: str) -> Any:
        """What stands in an input if the caller leaves out all that may be left out; None where that is not known."""
        value = self.graph[node_id].get("inputs", {}).get(input_name)
        writer = self.written_at(node_id, input_name)
        if writer is None:
            return value
        parameter = self.parameters.get(writer.parameter)
        if parameter is None or parameter.required or isinstance(parameter, SeedParameter | MediaParameter):
            return None
        return value if parameter.default is None else parameter.default

    def default_place(self, node_id: str, input_name: str) -> tuple[str, str]:
        """The file and the place in it that `default_at` is from."""
        writer = self.written_at(node_id, input_name)
        parameter = self.parameters.get(writer.parameter) if writer else None
        if writer and parameter is not None and parameter.default is not None:
            return self.map, f"parameters.{writer.parameter}.default"
        return self.template, f"{node_id}.inputs.{input_name}"

    @cached_property
    def queued(self) -> frozenset[str]:
        """The nodes that a declared output can need, whatever the payload."""
        if self.workflow is None:
            return frozenset(self.graph)
        return frozenset(needed_by(self._rewired, [output.node_id for output in self.workflow.outputs]))

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The same with the nodes that show something on the way (`previews`)."""
        shown = [
            node_id
            for node_id, node in self.graph.items()
            if (spec := self.nodes.get(node["class_type"])) and spec.is_output
        ]
        return self.queued | needed_by(self._rewired, shown)

    @cached_property
    def _rewired(self) -> Graph:
        """The graph with every link that an expression may make, and without those that are always written over."""
        graph = dict(self.graph)
        for place, writer in self.written.items():
            if not writer.replaces_link:
                continue
            inputs = dict(graph[place.node_id].get("inputs", {}))
            if self.always_replaces(writer):
                inputs.pop(place.input_name, None)
            texts = {text for found in _QUOTED.findall(writer.expression) for text in found}
            named = sorted(text for text in texts if text in graph)
            inputs |= {f"{place.input_name} -> {text}": [text, 0] for text in named}
            graph[place.node_id] = {**graph[place.node_id], "inputs": inputs}
        return graph

    def always_replaces(self, writer: Written) -> bool:
        """Whether the link that a place held is gone whatever is sent: another value than a link or null is written."""
        if not writer.replaces_link or writer.parameter:
            return writer.replaces_link and writer.always
        if "{{" in writer.expression:
            return True  # a text
        named = [self.parameters[name] for name in self.names_in(writer.expression)]
        may_be_link = "[" in writer.expression or any(
            isinstance(each, ArrayParameter | ObjectParameter) for each in named
        )
        may_be_null = "none" in writer.expression.lower() or any(each.nullable and not each.required for each in named)
        return not (may_be_link or may_be_null)

    def names_in(self, source: str) -> frozenset[str]:
        """The parameters that an expression names, as far as its words tell."""
        return frozenset(re.findall(r"[a-z][a-z0-9_]*", source)) & self.parameters.keys()

    @cached_property
    def names_elsewhere(self) -> frozenset[str]:
        """The parameters that rules, switches and repeats name."""
        parameter_map = self.parameter_map
        if parameter_map is None:
            return frozenset()
        sources = [rule.that for rule in parameter_map.rules]
        sources += [switch.when for switch in parameter_map.switches.values()]
        for repeat in parameter_map.repeat.values():
            sources += [repeat.over, *repeat.set.values()]
        return self.names_in(" ".join(sources))

    @cached_property
    def unused_properties(self) -> tuple[tuple[str, str], ...]:
        """Parameter and property: what the items of a list have that serves a `repeat` alone, and it does not use."""
        parameter_map = self.parameter_map
        if parameter_map is None:
            return ()
        sources = [each.expression for each in self.written.values()] + [rule.that for rule in parameter_map.rules]
        sources += [switch.when for switch in parameter_map.switches.values()]
        found = []
        for name, parameter in self.parameters.items():
            if not isinstance(parameter, ArrayParameter) or not isinstance(parameter.items, ObjectParameter):
                continue
            repeats = [each for each in parameter_map.repeat.values() if name in self.names_in(each.over)]
            plain = [each for each in repeats if each.over.strip() == name]
            if (
                not repeats
                or len(plain) < len(repeats)
                or parameter.bindings
                or name in self.names_in(" ".join(sources))
            ):
                continue
            used = " ".join(text for each in repeats for text in each.set.values())
            if name in self.names_in(used) or re.search(r"\bitem\b(?!\s*[.\[])", used):
                continue
            found += [(name, each) for each in parameter.items.properties if not re.search(rf"\b{each}\b", used)]
        return tuple(found)
