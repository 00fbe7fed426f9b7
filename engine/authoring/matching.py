"""Finding the nodes of a graph again in a later export of it. Pure.

ComfyUI keeps the id of a node while its author works on the graph, but a node that is made anew, pasted, or put into
a subgraph gets another one. So each node is looked for by all that tells it apart, the strongest evidence first, and
taken only where it is the only one of its class on both sides that the evidence fits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeAlias

from engine.authoring.writing import compact_text
from engine.graph import Graph, links, title_of

_WHOLE = 12  # links away: beyond that, two places in one graph are alike to nobody
_SEEDS = frozenset({"seed", "noise_seed"})  # drawn anew by the editor with every run

Evidence: TypeAlias = tuple[str, ...]

# What is looked at together. `near` is the classes and input names next to a node, `around` those two links away,
# `whole` all there are; a neighbour that was found already is told from any other of its class. `feeds` is who uses it.
_EVIDENCE: tuple[Evidence, ...] = (
    ("whole", "literals", "title"),
    ("id", "near", "literals"),
    ("around", "literals", "title"),
    ("id", "literals", "title"),
    ("id", "near"),
    ("near", "literals", "title"),
    ("around",),
    ("literals", "title"),
    ("whole",),
    ("id", "title"),
    ("near",),
    ("feeds",),
    ("title",),
    ("id",),
)


def match_nodes(old: Graph, new: Graph) -> dict[str, str]:
    """Which node of the new graph each node of the old one is.

    Args:
        old: the graph as it was.
        new: the graph as it is.

    Returns:
        Old id to new id. The classes of both are the same, and no node is found twice; a node that is not found
        again is not in it.
    """
    sides = (_Side(old), _Side(new))
    # Of a graph that is known from a map alone, the classes are all there is to go by.
    bare = not any(node.get("inputs") for node in old.values())
    evidences = (*_EVIDENCE, ()) if bare else _EVIDENCE
    found: dict[str, str] = {}
    while True:
        sides[0].look_again(_numbered(found))
        sides[1].look_again(_numbered(found.values()))
        pairs = next((pairs for evidence in evidences if (pairs := _only_ones(sides, evidence))), None)
        # Nodes that nothing tells apart change places freely: the first one will do.
        pairs = pairs or _first_of_equals(sides)
        if not pairs:
            return {each: found[each] for each in old if each in found}
        found.update(pairs)


def _numbered(node_ids: Iterable[str]) -> dict[str, int]:
    return {each: index for index, each in enumerate(node_ids)}


class _Side:
    """One of the two graphs, with what is known of its nodes at present."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.users: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for node_id, node in graph.items():
            for name, (source, index) in links(node):
                self.users[source].append((node_id, name, index))
        self.literals = {each: _literals(node) for each, node in graph.items()}
        self.titles = {each: title_of(node) or "" for each, node in graph.items()}
        self.anchors: Mapping[str, int] = {}
        self._colours: list[dict[str, int]] = []

    def look_again(self, anchors: Mapping[str, int]) -> None:
        """Take note of the nodes that are found, each by its number."""
        self.anchors = anchors
        first = {
            each: hash(("found", anchors[each]) if each in anchors else node["class_type"])
            for each, node in self.graph.items()
        }
        self._colours = [first]

    def open_nodes(self) -> list[str]:
        """The nodes that are not found yet."""
        return [each for each in self.graph if each not in self.anchors]

    def key(self, node_id: str, evidence: Evidence) -> Hashable:
        """What the evidence says of a node."""
        return (self.graph[node_id]["class_type"], *(_PARTS[part](self, node_id) for part in evidence))

    def place(self, node_id: str, radius: int) -> int:
        """A number for what lies within so many links of a node; the same in both graphs for the same."""
        while len(self._colours) <= radius:
            before = self._colours[-1]
            self._colours.append({each: self._further(each, before) for each in self.graph})
        return self._colours[radius][node_id]

    def feeds(self, node_id: str) -> Hashable:
        """Which inputs of which nodes use it."""
        first = self._colours[0]
        return tuple(sorted((first[user], name, index) for user, name, index in self.users[node_id]))

    def _further(self, node_id: str, before: Mapping[str, int]) -> int:
        if node_id in self.anchors:
            return before[node_id]
        fed = sorted((name, index, before[source]) for name, (source, index) in links(self.graph[node_id]))
        feeds = sorted((before[user], name, index) for user, name, index in self.users[node_id])
        return hash((before[node_id], tuple(fed), tuple(feeds)))


_PARTS: Mapping[str, Callable[[_Side, str], Hashable]] = {
    "id": lambda _, node_id: node_id,
    "title": lambda side, node_id: side.titles[node_id],
    "literals": lambda side, node_id: side.literals[node_id],
    "near": lambda side, node_id: side.place(node_id, 1),
    "around": lambda side, node_id: side.place(node_id, 2),
    "whole": lambda side, node_id: side.place(node_id, _WHOLE),
    "feeds": lambda side, node_id: side.feeds(node_id),
}


def _literals(node: Mapping[str, Any]) -> Hashable:
    left_out = _SEEDS | {name for name, _ in links(node)}
    kept = ((name, value) for name, value in node.get("inputs", {}).items() if name not in left_out)
    return tuple(sorted((name, compact_text(value)) for name, value in kept))


def _by_key(side: _Side, evidence: Evidence) -> dict[Hashable, list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for node_id in side.open_nodes():
        groups[side.key(node_id, evidence)].append(node_id)
    return groups


def _only_ones(sides: tuple[_Side, _Side], evidence: Evidence) -> dict[str, str]:
    old, new = (_by_key(side, evidence) for side in sides)
    return {
        nodes[0]: new[key][0] for key, nodes in old.items() if len(nodes) == 1 and key in new and len(new[key]) == 1
    }


def _first_of_equals(sides: tuple[_Side, _Side]) -> dict[str, str]:
    old, new = (_by_key(side, ("whole", "literals", "title")) for side in sides)
    for key, nodes in old.items():
        if key in new and len(new[key]) == len(nodes):
            return {nodes[0]: new[key][0]}
    return {}
