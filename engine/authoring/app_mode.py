"""What an author chose in ComfyUI's App mode, as places of the graph in API format.

An export in UI format keeps it as `extra.linearData`: `{"inputs": [[node, widget], …], "outputs": [node, …]}`, and
sometimes a third item with settings of how the input is shown. A node is named in several ways, as the editor's
versions have it: by its id, by the id it has within a subgraph (`6` for what is `76:6` in API format), by that with
the UUID of the subgraph or the graph (`UUID:12`), with the widget behind it (`UUID:12:prompt`), or by an instance of
a subgraph that shows a widget of an inner node as its own. Read off exports of 2025 and 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.authoring.draft import AppMode
from engine.bindings import Place
from engine.graph import Graph
from engine.ui_format import ExportNode, ExportNodes, check
from engine.ui_format.reading import SUBGRAPH_INPUTS, inputs_of, links_of, widget_of
from engine.wording import shown

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def chosen(document: Mapping[str, Any], graph: Graph) -> AppMode | None:
    """The author's choice; None where none was made.

    Args:
        document: the export, in UI format.
        graph: the same in API format.

    Raises:
        NotConverted: the document is too large or too deep.
    """
    extra = document.get("extra")
    linear = extra.get("linearData") if isinstance(extra, dict) else None
    if not isinstance(linear, dict) or not (linear.get("inputs") or linear.get("outputs")):
        return None
    check(document)
    return _Chooser(ExportNodes(document, graph), graph).chosen(linear)


class _Chooser:
    def __init__(self, export: ExportNodes, graph: Graph) -> None:
        self._export = export
        self._graph = graph

    def chosen(self, linear: Mapping[str, Any]) -> AppMode:
        inputs: dict[Place, str] = {}
        outputs: list[str] = []
        lost: list[str] = []
        for entry in _items(linear.get("inputs")):
            if not (isinstance(entry, list) and len(entry) >= 2 and isinstance(entry[1], str)):
                lost.append(f"the input {shown(entry)}: it names no node and widget")
                continue
            places, why = self._input(entry[0], entry[1])
            for place, name in places:
                inputs.setdefault(place, _given(entry) or name)
            if not places:
                lost.append(f"the input {entry[1]} of node {entry[0]}: {why}")
        for entry in _items(linear.get("outputs")):
            found = [each.api_id for each in self._named(str(entry)) if each.api_id in self._graph]
            if len(found) == 1:
                outputs += [found[0]] if found[0] not in outputs else []
            else:
                lost.append(f"the output {entry}: {self._why_lost(str(entry), found)}")
        return AppMode(tuple(inputs.items()), tuple(outputs), tuple(lost))

    def _input(self, node_id: Any, widget: str) -> tuple[list[tuple[Place, str]], str]:
        candidates = self._named(str(node_id))
        found = [(each, places) for each in candidates if (places := list(self._export.places(each, widget)))]
        if len(found) == 1:
            [(node, places)] = found
            name = self._name(node, widget)
            return [(Place(at.api_id, below), name or _label(at, below)) for at, below in places], ""
        return [], self._why_lost(str(node_id), [each.api_id for each, _ in found], widget)

    def _name(self, node: ExportNode, widget: str) -> str:
        """The name that the author gave a widget, on the outermost subgraph that shows it; empty for its own."""
        slots = inputs_of(node.node)
        index = next((at for at, slot in enumerate(slots) if widget_of(slot) == widget), None)
        outer = self._export.nodes.get(node.prefix[:-1])
        for link in links_of(node.scope) if outer and index is not None else ():
            from_outside = link.get("origin_id") == SUBGRAPH_INPUTS
            if from_outside and (link.get("target_id"), link.get("target_slot")) == (node.node.get("id"), index):
                shown_as = _at(_items(node.scope.get("inputs")), link.get("origin_slot"))
                name = shown_as.get("name")
                if outer and isinstance(name, str) and (label := self._name(outer, name) or shown_as.get("label")):
                    return str(label) if label != widget else ""
        return _label(node, widget)

    def _why_lost(self, node_id: str, found: list[str], widget: str = "") -> str:
        if len(found) > 1:
            return f"it may be one of the nodes {', '.join(found)}"
        named = self._named(node_id)
        if not named:
            return "there is no such node in the graph"
        if not any(each.runs for each in named):
            return "it is muted or bypassed"
        node_type = named[0].node.get("type")
        if not widget:
            return f"it is no node of the graph in API format ({node_type})"
        if any(place for each in named for place in self._export.places(each, widget, linked=True)):
            return "its value comes from another node"
        return f"{node_type} has no such input in API format"

    def _named(self, name: str) -> list[ExportNode]:
        """The nodes that a name can mean: the one of that id, else those that have it within a subgraph."""
        parts = name.split(":")
        scope = parts.pop(0) if len(parts) > 1 and _UUID.fullmatch(parts[0]) else ""
        if scope and len(parts) > 1 and not any(each.endswith(":".join(parts)) for each in self._export.nodes):
            parts.pop()  # the widget
        node_id = ":".join(parts)
        if scope in self._export.subgraphs:
            inner = self._export.subgraphs[scope]
            within = [each for each in self._export.nodes.values() if each.scope is inner]
            return [each for each in within if each.api_id.endswith(f":{node_id}")]
        if node_id in self._export.nodes:
            return [self._export.nodes[node_id]]
        return [each for each in self._export.nodes.values() if each.api_id.endswith(f":{node_id}")]


def _label(node: ExportNode, widget: str) -> str:
    """The name that the author gave a widget; empty where it has its own."""
    for slot in inputs_of(node.node):
        if widget in (widget_of(slot), slot.get("name")):
            label = slot.get("label")
            return label if isinstance(label, str) and label != widget else ""
    return ""


def _given(entry: list[Any]) -> str:
    """A name among the settings of an input's entry."""
    settings = entry[2] if len(entry) > 2 else None
    name = settings.get("label") or settings.get("name") if isinstance(settings, dict) else settings
    return name if isinstance(name, str) else ""


def _at(entries: list[Any], index: Any) -> Mapping[str, Any]:
    there = isinstance(index, int) and 0 <= index < len(entries) and isinstance(entries[index], dict)
    return entries[index] if there else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
