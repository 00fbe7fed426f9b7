"""What a document in UI format holds, read without trusting any of it.

`{"nodes": [{"id", "type", "mode", "inputs", "outputs", "widgets_values"}], "links": […], "definitions": {"subgraphs":
[…]}}`. A node whose type is a subgraph's id is an instance of it; its inner nodes have the ids `INSTANCE:INNER` in API
format. Links lead to and from a subgraph's own inputs and outputs as if those were nodes -10 and -20.
(https://docs.comfy.org/specs/workflow_json, and exports of ComfyUI 0.3.64 to 0.8.0.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SUBGRAPH_INPUTS = -10
"""The id by which links inside a subgraph name its own inputs."""

MUTED, BYPASSED = 2, 4
"""A node's `mode` where it does not run: without a trace, or handing on what it is given."""

EDITORS_OWN = frozenset({"Note", "MarkdownNote", "PrimitiveNode", "Reroute", "GetNode", "SetNode"})
"""Nodes that only the editor knows: they are resolved when a graph is queued."""


def is_ui_format(document: Any) -> bool:
    """Whether a document is an export in UI format, a whole one or one that lacks its links."""
    return isinstance(document, Mapping) and isinstance(document.get("nodes"), list)


def nodes_of(scope: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a document or of a subgraph."""
    return [node for node in _listed(scope.get("nodes")) if isinstance(node, dict)]


def subgraphs_of(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The subgraphs by their ids; those that are defined within another too."""
    found: dict[str, dict[str, Any]] = {}
    waiting: list[Any] = [document]
    while waiting:
        definitions = waiting.pop().get("definitions")
        for each in _listed(definitions.get("subgraphs")) if isinstance(definitions, dict) else []:
            if isinstance(each, dict) and isinstance(each.get("id"), str) and each["id"] not in found:
                found[each["id"]] = each
                waiting.append(each)
    return found


def links_of(scope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The links of a document or of a subgraph, which write them in two forms, in the one that names its parts."""
    for link in _listed(scope.get("links")):
        if isinstance(link, dict):
            yield link
        elif isinstance(link, list) and len(link) >= 6:
            keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
            yield dict(zip(keys, link, strict=False))


def inputs_of(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The input slots of a node; those with a `widget` hold a value of their own unless they are linked."""
    return [each for each in _listed(node.get("inputs")) if isinstance(each, dict)]


def widget_of(slot: Mapping[str, Any]) -> str | None:
    """The name of the widget that belongs to an input slot; None where it takes links alone."""
    widget = slot.get("widget")
    name = widget.get("name") if isinstance(widget, dict) else None
    return name if isinstance(name, str) else None


def classes_of(document: Mapping[str, Any]) -> set[str]:
    """The node classes of a document, those in its subgraphs too, without what only the editor knows."""
    subgraphs = subgraphs_of(document)
    types = {str(node.get("type")) for scope in (document, *subgraphs.values()) for node in nodes_of(scope)}
    return types - set(subgraphs) - EDITORS_OWN


def walk(
    document: Mapping[str, Any], subgraphs: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a graph that runs, with its id in API format; those of subgraphs instead of their instances.

    Args:
        document: one that `engine.ui_format.bounds.check` let through, so that this ends.
        subgraphs: of it.
    """
    waiting = [("", document)]
    while waiting:
        prefix, scope = waiting.pop()
        for node in nodes_of(scope):
            if node.get("mode") in (MUTED, BYPASSED):
                continue
            api_id = f"{prefix}{node.get('id')}"
            inner = subgraphs.get(str(node.get("type")))
            if inner is None:
                yield api_id, node
            else:
                waiting.append((f"{api_id}:", inner))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
