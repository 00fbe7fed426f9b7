"""Where a parameter goes whose nodes are gone, in a later export of its graph. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.authoring.references import places_of
from engine.graph import Graph
from engine.nodes import NodeCatalogue


def successors(
    document: Mapping[str, Any],
    unbound: Iterable[str],
    drafts: tuple[Mapping[str, Any], Mapping[str, Any]],
    graphs: tuple[Graph, Graph],
    nodes: NodeCatalogue,
) -> dict[str, Any]:
    """What plays the part in the new graph that a parameter had in the old one.

    The part is what drafts call it: who bound `motif` to what a draft calls the prompt is given the prompt of the new
    graph. Where a graph has several of one part, none is taken.

    Args:
        document: the author's map, for the old graph.
        unbound: its parameters that have lost all of their places.
        drafts: a map drafted for the old graph, and one for the new.
        graphs: the old graph, and the new.
        nodes: the node catalogue.

    Returns:
        What stands under `bind` from now on, by parameter.
    """
    old_draft, new_draft = (draft.get("parameters", {}) for draft in drafts)
    taken = {
        place
        for name, each in document["parameters"].items()
        if name not in unbound
        for place in places_of(each, graphs[1], nodes)
    }
    found: dict[str, Any] = {}
    for name in unbound:
        mine = document["parameters"][name]
        places = set(places_of(mine, graphs[0], nodes))
        parts = [part for part, each in old_draft.items() if places & set(places_of(each, graphs[0], nodes))]
        if len(parts) != 1 or any(f"{parts[0]}_2" in draft for draft in (old_draft, new_draft)):
            continue
        heir = new_draft.get(parts[0], {})
        now = set(places_of(heir, graphs[1], nodes))
        if now and heir["type"] == mine.get("type") and not now & taken:
            found[name] = heir["bind"]
            taken |= now
    return found
