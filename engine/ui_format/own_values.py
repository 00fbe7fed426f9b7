"""Values that stand elsewhere in an export than at the inputs that take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.graph import Graph
from engine.ui_format.hosted import HOSTED
from engine.ui_format.places import PRIMITIVE, ExportNode, ExportNodes


def with_own_values(graph: Graph, document: Mapping[str, Any]) -> Graph:
    """A graph with the values of PrimitiveNodes and of instances of subgraphs in place of the inputs' own.

    comfy-cli (1.23) leaves an input that is linked to a PrimitiveNode what it has of its own, which is what stood there
    when the link was made; what it does not know of an instance's, `engine.ui_format.hosted` tells.

    Args:
        graph: in API format; it is changed.
        document: what comfy-cli made it of, as `engine.ui_format.prepared` gives it.
    """
    export = ExportNodes(document, graph)
    for node in export.nodes.values():
        for name, value in _held(node, export):
            for target, below in export.places(node, name, absent=True):
                graph[target.api_id]["inputs"][below] = {"__value__": value} if isinstance(value, list) else value
    return graph


def _held(node: ExportNode, export: ExportNodes) -> Iterator[tuple[str, Any]]:
    if node.type == PRIMITIVE:
        values = node.node.get("widgets_values")
        if isinstance(values, list) and values:
            yield "", values[0]
    elif node.type in export.subgraphs:
        yield from node.node.get(HOSTED, {}).items()
