"""A document in UI format, as comfy-cli (1.23) understands it best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.graph import Graph
from engine.nodes import NodeCatalogue
from engine.ui_format.reading import EDITORS_OWN, links_of, nodes_of, subgraphs_of
from engine.ui_format.widgets import widgets_of

# comfy-cli leaves this class out, as one that only the editor knows; ComfyUI has it (nodes.py, 0.3.64 and 0.8.0).
_LEFT_OUT = "LoadImageOutput"
_STAND_IN = "LoadImageOutput "

# What comfy-cli calls a node's class by, before its type.
_CLASS = "Node name for S&R"


def prepared(document: Mapping[str, Any], nodes: NodeCatalogue) -> dict[str, Any]:
    """A copy of a document, put right where comfy-cli would lose or mistake something.

    - Links are written in the one form it reads, and those that newer exports leave out are none.
    - Subgraphs that are defined within another are found.
    - A node is of the class that it says, not of one that it had before it was exchanged for another.
    - Values stand under their names, where the export tells those.
    - `LoadImageOutput` is not left out; `as_it_was` gives its name back.

    Args:
        document: one that `engine.ui_format.bounds.check` let through.
        nodes: the classes.
    """
    copy: dict[str, Any] = json.loads(json.dumps(document))
    subgraphs = subgraphs_of(copy)
    if subgraphs:
        copy["definitions"]["subgraphs"] = list(subgraphs.values())
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    copy["links"] = [[link.get(key) for key in keys] for link in links_of(copy)]
    for subgraph in subgraphs.values():
        subgraph["links"] = list(links_of(subgraph))
    for scope in (copy, *subgraphs.values()):
        for node in nodes_of(scope):
            if not isinstance(node.get("properties"), dict):
                node["properties"] = {}
            if isinstance(node.get("type"), str):
                node["properties"][_CLASS] = node["type"]
            if node.get("type") not in subgraphs and node.get("type") not in EDITORS_OWN:
                values = widgets_of(node, nodes.get(str(node.get("type")))).values
                if values is not None:
                    node["widgets_values"] = values
            if node.get("type") == _LEFT_OUT:
                node["type"] = _STAND_IN
    return copy


def as_it_was(graph: Graph) -> Graph:
    """A converted graph with the names of classes that `prepared` exchanged."""
    for node in graph.values():
        if node["class_type"] == _STAND_IN:
            node["class_type"] = _LEFT_OUT
    return graph
