"""What a document in UI format holds, read without trusting any of it.

`{"nodes": [{"id", "type", "mode", "inputs", "outputs", "widgets_values"}], "links": […], "definitions": {"subgraphs":
[…]}}`. A node whose type is a subgraph's id is an instance of it; its inner nodes have the ids `INSTANCE:INNER` in API
format. Links lead to and from a subgraph's own inputs and outputs as if those were nodes -10 and -20.
(https://docs.comfy.org/specs/workflow_json, and exports of ComfyUI 0.3.64 to 0.8.0.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SUBGRAPH_INPUTS, SUBGRAPH_OUTPUTS = -10, -20
"""The ids by which links inside a subgraph name its own inputs and outputs."""

MUTED, BYPASSED = 2, 4
"""A node's `mode` where it does not run: without a trace, or handing on what it is given."""

# Of the pack rgthree-comfy: what its scripts add to the editor and no ComfyUI knows (its src_web/comfyui, 2025).
_RGTHREE = (
    *("Bookmark", "Fast Actions Button", "Fast Bypasser", "Fast Groups Bypasser", "Fast Groups Muter", "Fast Muter"),
    *("Label", "Mute / Bypass Relay", "Mute / Bypass Repeater", "Node Collector", "Random Unmuter", "Reroute"),
)

PACKS_OWN = frozenset(f"{name} (rgthree)" for name in _RGTHREE)
"""Nodes that only the editor knows, and only with a node pack."""

EDITORS_OWN = PACKS_OWN | {"Note", "MarkdownNote", "PrimitiveNode", "Reroute", "GetNode", "SetNode"}
"""Nodes that only the editor knows: they are resolved when a graph is queued."""

HANDS_ON = frozenset({"Reroute", "Reroute (rgthree)", "GetNode", "SetNode"})
"""Those of them that hand on what they are linked to."""


LINK_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
"""The parts of a link, in the order of the form without names."""


def is_ui_format(document: Any) -> bool:
    """Whether a document is an export in UI format, a whole one or one that lacks its links."""
    return isinstance(document, Mapping) and isinstance(document.get("nodes"), list)


def nodes_of(scope: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a document or of a subgraph."""
    return items_of(scope, "nodes")


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
    """The links of a document or of a subgraph, which write them in two forms, in the one that names its parts.

    Those from an input of the subgraph are the ones that it lists: exports keep others, which once were (front end
    1.37), with the number of an input that is another by now.
    """
    leading_in: set[tuple[int, Any]] | None = None
    for each in _listed(scope.get("links")):
        unnamed = isinstance(each, list) and len(each) >= len(LINK_KEYS)
        link = dict(zip(LINK_KEYS, each, strict=False)) if unnamed else each
        if not isinstance(link, dict):
            continue
        if link.get("origin_id") == SUBGRAPH_INPUTS:
            leading_in = _leading_in(scope) if leading_in is None else leading_in
            if not is_link_id(link.get("id")) or (_index(link.get("origin_slot")), link["id"]) not in leading_in:
                continue
        yield link


def _leading_in(scope: Mapping[str, Any]) -> set[tuple[int, Any]]:
    """Which links lead in at which input of a subgraph."""
    inputs = items_of(scope, "inputs")
    return {(at, key) for at, slot in enumerate(inputs) for key in _listed(slot.get("linkIds")) if is_link_id(key)}


def is_link_id(value: Any) -> bool:
    """Whether a value can be the id of a link."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def inputs_of(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The input slots of a node; those with a `widget` hold a value of their own unless they are linked."""
    return items_of(node, "inputs")


def outputs_of(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The output slots of a node."""
    return items_of(node, "outputs")


def items_of(parent: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in a list below a key; none where there is no list."""
    return [each for each in _listed(parent.get(key)) if isinstance(each, dict)]


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


def _index(value: Any) -> int | None:
    return value if isinstance(value, int) else None
