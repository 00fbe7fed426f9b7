"""Values that stand in a node of their own for the inputs that it is linked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.graph import Graph
from engine.ui_format.places import PRIMITIVE, ExportNodes


def with_primitives(graph: Graph, document: Mapping[str, Any]) -> Graph:
    """A graph with the values of its PrimitiveNodes, which the editor puts in place of the inputs' own when it queues.

    comfy-cli (1.23) leaves an input what it has of its own, which is what stood there when the link was made.

    Args:
        graph: in API format; it is changed.
        document: the export it was made of.
    """
    nodes = ExportNodes(document, graph)
    for each in nodes.nodes.values():
        values = each.node.get("widgets_values")
        if each.type != PRIMITIVE or not isinstance(values, list) or not values:
            continue
        value = {"__value__": values[0]} if isinstance(values[0], list) else values[0]
        for target, name in nodes.places(each, ""):
            graph[target.api_id]["inputs"][name] = value
    return graph
