"""Where the widgets of an export in UI format are in its graph in API format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from engine.graph import Graph, as_link
from engine.ui_format.reading import (
    BYPASSED,
    MUTED,
    SUBGRAPH_INPUTS,
    inputs_of,
    links_of,
    nodes_of,
    subgraphs_of,
)

PRIMITIVE = "PrimitiveNode"
"""Holds a value for the inputs that it is linked to, in place of their own."""

_MOST_STEPS = 100  # from node to node; Python's own bound is not far above

Found: TypeAlias = tuple["ExportNode", str]
"""A node of the graph, and the name of its input."""


@dataclass(frozen=True, slots=True)
class ExportNode:
    """A node of an export.

    Attributes:
        api_id: its id in API format; also of one that is not in the graph.
        node: as the export has it.
        prefix: of the ids of all that stands beside it: `76:`; empty outside of subgraphs.
        scope: the document, or the subgraph that it stands in.
        runs: neither it nor a subgraph around it is muted or bypassed.
    """

    api_id: str
    node: Mapping[str, Any]
    prefix: str
    scope: Mapping[str, Any]
    runs: bool

    @property
    def type(self) -> str:
        """Its class, or the id of the subgraph that it is an instance of."""
        return str(self.node.get("type"))


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to the places of one widget: each node's widget is passed once, so that no document makes it endless."""

    steps: int = 0
    passed: set[tuple[str, str]] = field(default_factory=set)

    def goes_on(self, node: ExportNode, widget: str) -> bool:
        if self.steps > _MOST_STEPS or (node.api_id, widget) in self.passed:
            return False
        self.passed.add((node.api_id, widget))
        return True

    def further(self) -> _Way:
        return _Way(self.steps + 1, self.passed)


class ExportNodes:
    """The nodes of an export, those in subgraphs once for each instance, and where their values went.

    Args:
        document: in UI format, one that `engine.ui_format.bounds.check` let through.
        graph: the same in API format.

    Attributes:
        nodes: by their ids in API format.
        subgraphs: by their ids.
    """

    def __init__(self, document: Mapping[str, Any], graph: Graph) -> None:
        self._graph = graph
        self.subgraphs = subgraphs_of(document)
        self.nodes = {each.api_id: each for each in self._walk(document, "", runs=True)}
        self._links = {id(scope): _by_origin(scope) for scope in (document, *self.subgraphs.values())}

    def places(self, node: ExportNode, widget: str, *, linked: bool = False, absent: bool = False) -> Iterator[Found]:
        """Where a widget's value stands in the graph; nowhere where it does not reach it.

        Args:
            node: the one that shows the widget: a node of the graph, one that hands its value on, or an instance of a
                subgraph that shows a widget of an inner node as its own.
            widget: its name.
            linked: also where a link stands in its place.
            absent: also at a node of the graph that has no such input yet.
        """
        for found, name in self._places(node, widget, _Way()):
            inputs = self._graph[found.api_id]["inputs"]
            if (linked or as_link(inputs.get(name)) is None) and (absent or name in inputs):
                yield found, name

    def _places(self, node: ExportNode, widget: str, way: _Way) -> Iterator[Found]:
        if not node.runs or not way.goes_on(node, widget):
            return
        if (inner := self.subgraphs.get(node.type)) is not None:
            yield from self._promoted(node, inner, widget, way.further())
        elif node.type in (PRIMITIVE, "Reroute"):
            for link in self._links[id(node.scope)].get(str(node.node.get("id")), ()):
                yield from self._target(node.prefix, link, way.further())
        elif node.api_id in self._graph:
            yield node, widget

    def _promoted(self, node: ExportNode, inner: Mapping[str, Any], widget: str, way: _Way) -> Iterator[Found]:
        """By an input of the subgraph; in older exports by a list of inner nodes' widgets."""
        prefix = f"{node.api_id}:"
        found = [
            place
            for index, slot in enumerate(_items(inner.get("inputs")))
            if isinstance(slot, dict) and widget in (slot.get("name"), slot.get("label"))
            for link in self._links[id(inner)].get(str(SUBGRAPH_INPUTS), ())
            if link.get("origin_slot") == index
            for place in self._target(prefix, link, way)
        ]
        properties = node.node.get("properties")
        proxies = properties.get("proxyWidgets") if isinstance(properties, dict) else None
        for proxy in _items(proxies):
            named = isinstance(proxy, list) and len(proxy) >= 2 and proxy[1] == widget
            if not found and named and (target := self.nodes.get(f"{prefix}{proxy[0]}")):
                found = list(self._places(target, widget, way))
        yield from found

    def _target(self, prefix: str, link: Mapping[str, Any], way: _Way) -> Iterator[Found]:
        target = self.nodes.get(f"{prefix}{link.get('target_id')}")
        if target is None:
            return
        slots, index = inputs_of(target.node), link.get("target_slot")
        if isinstance(index, int) and 0 <= index < len(slots) and isinstance(name := slots[index].get("name"), str):
            yield from self._places(target, name, way)

    def _walk(self, scope: Mapping[str, Any], prefix: str, *, runs: bool) -> Iterator[ExportNode]:
        for node in nodes_of(scope):
            running = runs and node.get("mode") not in (MUTED, BYPASSED)
            each = ExportNode(f"{prefix}{node.get('id')}", node, prefix, scope, running)
            yield each
            inner = self.subgraphs.get(each.type)
            if inner is not None:
                yield from self._walk(inner, f"{each.api_id}:", runs=running)


def _by_origin(scope: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for link in links_of(scope):
        found.setdefault(str(link.get("origin_id")), []).append(link)
    return found


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
