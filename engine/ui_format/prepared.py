"""A document in UI format, as comfy-cli (1.23) understands it best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.graph import Graph
from engine.nodes import NodeCatalogue
from engine.ui_format.hosted import HOSTED, hosted_by
from engine.ui_format.reading import EDITORS_OWN, PACKS_OWN, items_of, links_of, nodes_of, subgraphs_of
from engine.ui_format.widgets import widgets_of, without_buttons
from engine.ui_format.wiring import rewire

# comfy-cli leaves this class out, as one that only the editor knows; ComfyUI has it (nodes.py, 0.3.64 and 0.8.0).
_LEFT_OUT = "LoadImageOutput"
_STAND_IN = "LoadImageOutput "

# What comfy-cli calls a node's class by, before its type.
_CLASS = "Node name for S&R"


def prepared(document: Mapping[str, Any], nodes: NodeCatalogue) -> dict[str, Any]:
    """A copy of a document, put right where comfy-cli would lose or mistake something.

    - Links lead straight to where a value comes from, as the editor follows them, and are in the one form it reads.
    - Subgraphs that are defined within another are found.
    - Nodes that only the editor knows, and only with a node pack, are gone.
    - A node is of the class that it says, not of one that it had before it was exchanged for another.
    - Values stand under their names, where the export tells those; what instances of subgraphs hold, in an order that
      it does not know, is left to `with_own_values`.
    - `LoadImageOutput` is not left out; `as_it_was` gives its name back.

    Args:
        document: one that `engine.ui_format.bounds.check` let through.
        nodes: the classes.
    """
    copy: dict[str, Any] = json.loads(json.dumps(document))
    subgraphs = subgraphs_of(copy)
    if subgraphs:
        copy["definitions"]["subgraphs"] = list(subgraphs.values())
    for scope in (copy, *subgraphs.values()):
        for each in (scope, *nodes_of(scope)):
            for key in ("inputs", "outputs"):
                each[key] = items_of(each, key)
        for node in nodes_of(scope):
            _prepare(node, subgraphs, nodes)
        rewire(scope)
        scope["nodes"] = [node for node in nodes_of(scope) if node["type"] not in PACKS_OWN]
    copy["links"] = [list(link.values()) for link in links_of(copy)]
    return copy


def _prepare(node: dict[str, Any], subgraphs: Mapping[str, Any], nodes: NodeCatalogue) -> None:
    if not isinstance(node.get("properties"), dict):
        node["properties"] = {}
    node["properties"][_CLASS] = node["type"]
    if node["type"] in subgraphs:
        if (hosted := hosted_by(node)) is not None:
            node[HOSTED], node["widgets_values"] = hosted, []
    elif node["type"] not in EDITORS_OWN:
        values = widgets_of(node, nodes.get(node["type"])).values
        node["widgets_values"] = without_buttons(node.get("widgets_values")) if values is None else values
    if node["type"] == _LEFT_OUT:
        node["type"] = _STAND_IN


def as_it_was(graph: Graph) -> Graph:
    """A converted graph with the names of classes that `prepared` exchanged."""
    for node in graph.values():
        if node["class_type"] == _STAND_IN:
            node["class_type"] = _LEFT_OUT
    return graph
