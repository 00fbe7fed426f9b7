"""What the author of an export ought to know of its conversion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.graph import Graph, label_of
from engine.nodes import NodeCatalogue
from engine.ui_format.reading import EDITORS_OWN, subgraphs_of, walk
from engine.ui_format.widgets import widgets_of
from engine.wording import listed


def notes_on(document: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue) -> Iterator[str]:
    """What was lost or may be wrong, each a sentence.

    Args:
        document: the export.
        graph: what became of it.
        nodes: by which it was converted.
    """
    originals = dict(walk(document, subgraphs_of(document)))
    if lost := [
        f"{node.get('type')} ({node_id})"
        for node_id, node in originals.items()
        if node_id not in graph and node.get("type") not in EDITORS_OWN
    ]:
        yield f"could not be converted and are not in the graph: {listed(lost)}"
    yield from _values(originals, graph, nodes)
    if drawn := [place for node_id in graph for place in _drawn(graph, node_id, nodes)]:
        yield (
            f"{listed(drawn)}: the editor takes one of the texts in {{braces|like these}} for each run; ComfyUI itself "
            "does not, so the text stays as it was written"
        )


def _values(originals: Mapping[str, Mapping[str, Any]], graph: Graph, nodes: NodeCatalogue) -> Iterator[str]:
    """What may be wrong with the values of nodes, whose names depend on the version of their class."""
    if unknown := sorted({node["class_type"] for node in graph.values()} - set(nodes)):
        yield f"not in the node catalogue: {listed(unknown)}; what is known of them stands in the export alone"
    widgets = {
        node_id: widgets_of(originals[node_id], nodes.get(graph[node_id]["class_type"]))
        for node_id in graph
        if node_id in originals
    }
    if unsure := [
        f"{label_of(graph, node_id)} ({', '.join(each.unsure) or 'none'}; {each.left_out} left out)"
        for node_id, each in widgets.items()
        if each.unsure or each.left_out
    ]:
        yield (
            "the export does not say which value is which, and nothing else does, so these may be wrong: "
            f"{listed(unsure)}; Workflow > Export (API) has them right"
        )
    if foreign := [f"{label_of(graph, each)}.{name}" for each, found in widgets.items() for name in found.foreign]:
        yield f"left out, since these nodes have other inputs in ComfyUI {nodes.version}: {listed(foreign)}"


def _drawn(graph: Graph, node_id: str, nodes: NodeCatalogue) -> Iterator[str]:
    class_type = graph[node_id]["class_type"]
    declared = nodes.object_info.get(class_type, {}).get("input", {})
    for name, value in graph[node_id]["inputs"].items():
        if not (isinstance(value, str) and "{" in value and "|" in value):
            continue
        for section in ("required", "optional"):
            spec = declared.get(section, {}).get(name)
            if isinstance(spec, list) and len(spec) > 1 and isinstance(spec[1], dict) and spec[1].get("dynamicPrompts"):
                yield f"{label_of(graph, node_id)}.{name}"
