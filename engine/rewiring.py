"""What the operators of a parameter map do to a graph: nodes in a row, nodes passed by, nodes left out. Pure.

All of it changes the graph it is given, which is a rendered one that nobody else has.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.graph import COPY_OF, Graph, links

_COPY = re.compile(r"(?P<node>.+)#(?P<number>\d+)#*", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Loose:
    """An input that lost its link, since the node that it came from is gone."""

    node_id: str
    input_name: str
    gone: str


def lined_up(
    graph: Graph,
    node_id: str,
    through: Mapping[str, int],
    items: Sequence[Mapping[str, Any]],
    taken: Collection[str],
) -> list[str]:
    """Make a row of a node, one for each item, each linked to the one before it.

    The first is the node itself; the others are copies with ids of their own, which name it in their `_meta`. What was
    linked to the node is linked to the last.

    Args:
        graph: changed.
        node_id: the node.
        through: input to the output of the node before that it is linked to. An input that the node leaves empty stays
            so, unless something uses that output: then a copy has to add to what those before it gave.
        items: input to value, for each of the row; at least one.
        taken: ids that copies must not have.

    Returns:
        The ids of the row.
    """
    node = graph[node_id]
    uses = list(_uses(graph, node_id))
    row = [node_id]
    used = {output for _, _, output in uses}
    handed_on = {name: output for name, output in through.items() if name in node["inputs"] or output in used}
    for number in range(2, len(items) + 1):
        added = copy.deepcopy(node)
        meta = added.get("_meta")
        added["_meta"] = {**(meta if isinstance(meta, dict) else {}), COPY_OF: node_id}
        for name, output in handed_on.items():
            added["inputs"][name] = [row[-1], output]
        row.append(_fresh(node_id, number, graph, taken))
        graph[row[-1]] = added
    for each, values in zip(row, items, strict=True):
        graph[each]["inputs"].update(values)
    for user, name, output in uses:
        graph[user]["inputs"][name] = [row[-1], output]
    return row


def item_of(node_id: str) -> tuple[str, int] | None:
    """The node that the id of a copy is made of, and which of its row it is, from 0; None where it is no such id."""
    found = _COPY.fullmatch(node_id)
    return (found["node"], int(found["number"]) - 1) if found else None


def pass_by(graph: Graph, node_id: str, passing: Mapping[int, str]) -> list[Loose]:
    """Take a node out; what was linked to it gets what the node got.

    Args:
        graph: changed.
        node_id: the node.
        passing: output to the input that stands in for it; for other outputs nothing does.

    Returns:
        The inputs that have nothing now.
    """
    inputs = graph[node_id]["inputs"]
    loose = []
    for user, name, output in list(_uses(graph, node_id)):
        source = passing.get(output)
        if source is not None and source in inputs:
            graph[user]["inputs"][name] = copy.deepcopy(inputs[source])
        else:
            del graph[user]["inputs"][name]
            loose.append(Loose(user, name, node_id))
    del graph[node_id]
    return loose


def leave_out(graph: Graph, node_ids: Iterable[str]) -> list[Loose]:
    """Take nodes out, with the links from them.

    Returns:
        The inputs of others that have nothing now.
    """
    gone = [node_id for node_id in node_ids if node_id in graph]
    loose = [Loose(user, name, node_id) for node_id in gone for user, name, _ in _uses(graph, node_id)]
    for each in loose:
        del graph[each.node_id]["inputs"][each.input_name]
    for node_id in gone:
        del graph[node_id]
    return [each for each in loose if each.node_id in graph]


def _uses(graph: Graph, node_id: str) -> Iterator[tuple[str, str, int]]:
    """The inputs that are linked to a node, with the number of the output."""
    for user, node in graph.items():
        for name, (source, output) in links(node):
            if source == node_id:
                yield user, name, output


def _fresh(node_id: str, number: int, graph: Graph, taken: Collection[str]) -> str:
    fresh = f"{node_id}#{number}"
    while fresh in graph or fresh in taken:
        fresh += "#"
    return fresh
