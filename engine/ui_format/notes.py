"""What the author of an export ought to know of its conversion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.graph import Graph, label_of
from engine.nodes import NodeCatalogue
from engine.ui_format.reading import EDITORS_OWN, subgraphs_of, walk
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
    if unknown := [node_id for node_id in graph if graph[node_id]["class_type"] not in nodes]:
        yield (
            f"not in the node catalogue: {listed(label_of(graph, node_id) for node_id in unknown)}; their values were "
            "read by the names in the export, so compare them with the editor's"
        )
    if drawn := [place for node_id in graph for place in _drawn(graph, node_id, nodes)]:
        yield (
            f"{listed(drawn)}: the editor takes one of the texts in {{braces|like these}} for each run; ComfyUI itself "
            "does not, so the text stays as it was written"
        )


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
