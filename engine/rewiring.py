"""What the operators of a parameter map do to a graph: nodes in a row, nodes passed by, nodes left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.graph import CONTAINERS, COPY_OF, Graph, Node, as_link, copied, links

_COPY = re.compile(r"(?P<node>.+)#(?P<number>\d+)#*", re.DOTALL)

Users: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Node to the inputs that are linked to it: their nodes, and their names."""


@dataclass(frozen=True, slots=True, order=True)
class Loose:
    """An input that lost its link, since the node that it came from is gone."""

    node_id: str
    input_name: str
    gone: str


def users_of(graph: Mapping[str, Mapping[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Who is linked to whom in a graph."""
    users: dict[str, list[tuple[str, str]]] = {}
    for user, node in graph.items():
        for name, (source, _) in links(node):
            users.setdefault(source, []).append((user, name))
    return users


def item_of(node_id: str) -> tuple[str, int] | None:
    """The node that the id of a copy is made of, and which of its row it is, from 0; None where it is no such id."""
    found = _COPY.fullmatch(node_id)
    return (found["node"], int(found["number"]) - 1) if found else None


class Wiring:
    """A graph whose links are being changed; what that costs depends on what changes, not on how large the graph is.

    Args:
        graph: changed.
        users: of the template that it is made of, or of the graph itself; links that both lack are told to `linked`.
        shared: the nodes are another graph's as well: one is copied before it is changed.

    Attributes:
        graph: as it is now.
        copies: the ids of those that were made, with the node that each is a copy of.
    """

    def __init__(self, graph: Graph, users: Users, *, shared: bool = False) -> None:
        self.graph = graph
        self.copies: dict[str, str] = {}
        self._users = users
        self._more: dict[str, list[tuple[str, str]]] = {}
        self._own: set[str] | None = set() if shared else None
        self._loosened: list[str] = []  # what may be of no use now

    def linked(self, node_id: str, input_name: str) -> None:
        """Take note of an input that may hold another link than the template has there."""
        if link := as_link(self.graph[node_id]["inputs"].get(input_name)):
            self._more.setdefault(link[0], []).append((node_id, input_name))

    def lined_up(
        self, node_id: str, through: Mapping[str, int], items: Sequence[Mapping[str, Any]], taken: Collection[str]
    ) -> list[str]:
        """Make a row of a node, one for each item, each linked to the one before it.

        The first is the node itself; the others are copies with ids of their own, which name it in their `_meta`. What
        was linked to the node is linked to the last.

        Args:
            node_id: the node.
            through: input to the output of the node before that it is linked to. An input that the node leaves empty
                stays so, unless something uses that output: then a copy has to add to what those before it gave.
            items: input to value, for each of the row; at least one.
            taken: ids that copies must not have.

        Returns:
            The ids of the row.
        """
        inputs = self._inputs(node_id)
        uses = list(self._uses(node_id))
        row = [node_id]
        used = {output for _, _, output in uses}
        handed_on = {name: output for name, output in through.items() if name in inputs or output in used}
        kept = [(name, value) for name, value in inputs.items() if type(value) in CONTAINERS and name not in handed_on]
        others = {key: value for key, value in self.graph[node_id].items() if key != "inputs"}
        meta = others.get("_meta")
        others["_meta"] = {**meta, COPY_OF: node_id} if isinstance(meta, dict) else {COPY_OF: node_id}
        held = [(key, value) for key, value in others.items() if type(value) in CONTAINERS]
        for number in range(2, len(items) + 1):
            added = others.copy()
            for key, value in held:
                added[key] = copied(value)
            given = added["inputs"] = inputs.copy()
            for name, value in kept:
                given[name] = copied(value)
            before, fresh = row[-1], self._add(added, node_id, number, taken)
            for name, output in handed_on.items():
                given[name] = [before, output]
            self._more.setdefault(before, []).extend([(fresh, name) for name in handed_on])
            for name, _ in kept:
                self.linked(fresh, name)
            given.update(items[number - 1])
            row.append(fresh)
        inputs.update(items[0])
        for user, name, output in uses:
            self._link(user, name, [row[-1], output])
        if not handed_on:
            self._loosened += row[:-1]
        return row

    def pass_by(self, node_id: str, passing: Mapping[int, str]) -> list[Loose]:
        """Take a node out; what was linked to it gets what the node got.

        Args:
            node_id: the node.
            passing: output to the input that stands in for it; for other outputs nothing does.

        Returns:
            The inputs that have nothing now.
        """
        inputs = self.graph[node_id].get("inputs", {})
        loose = []
        for user, name, output in list(self._uses(node_id)):
            source = passing.get(output)
            if source is not None and source in inputs:
                value = inputs[source]
                self._link(user, name, copied(value) if type(value) in CONTAINERS else value)
            else:
                del self._inputs(user)[name]
                loose.append(Loose(user, name, node_id))
        self._drop(node_id)
        return loose

    def leave_out(self, node_ids: Iterable[str]) -> list[Loose]:
        """Take nodes out, with the links from them.

        Returns:
            The inputs of others that have nothing now.
        """
        gone = [node_id for node_id in node_ids if node_id in self.graph]
        loose = [Loose(user, name, node_id) for node_id in gone for user, name, _ in self._uses(node_id)]
        for each in loose:
            del self._inputs(each.node_id)[each.input_name]
        for node_id in gone:
            self._drop(node_id)
        return [each for each in loose if each.node_id in self.graph]

    def prune(self, ends: Collection[str]) -> None:
        """Drop what only nodes needed that are gone, where the graph held nothing but what its ends need.

        Args:
            ends: are kept in any case.
        """
        while self._loosened:
            node_id = self._loosened.pop()
            if node_id in self.graph and node_id not in ends and not any(self._uses(node_id)):
                self._drop(node_id)

    def _drop(self, node_id: str) -> None:
        node = self.graph.pop(node_id)
        self._loosened += [link[0] for _, link in links(node)]

    def _inputs(self, node_id: str) -> dict[str, Any]:
        """The inputs of a node, to be changed."""
        node = self.graph[node_id]
        if self._own is not None and node_id not in self._own:
            self._own.add(node_id)
            node = self.graph[node_id] = {**node, "inputs": dict(node.get("inputs", {}))}
        inputs: dict[str, Any] = node["inputs"]
        return inputs

    def _link(self, node_id: str, input_name: str, value: Any) -> None:
        self._inputs(node_id)[input_name] = value
        if type(value) is list and (link := as_link(value)):
            self._more.setdefault(link[0], []).append((node_id, input_name))

    def _add(self, node: Node, node_id: str, number: int, taken: Collection[str]) -> str:
        """Add a copy of a node, which is given; gives its id."""
        fresh = f"{node_id}#{number}"
        while fresh in self.graph or fresh in taken:
            fresh += "#"
        self.graph[fresh] = node
        self.copies[fresh] = node_id
        if self._own is not None:
            self._own.add(fresh)
        return fresh

    def _uses(self, node_id: str) -> Iterator[tuple[str, str, int]]:
        """The inputs that are linked to a node now, with the number of the output."""
        known, more = self._users.get(node_id, ()), self._more.get(node_id)
        for user, name in dict.fromkeys([*known, *more]) if more else known:
            if user in self.graph and (link := as_link(self.graph[user]["inputs"].get(name))) and link[0] == node_id:
                yield user, name, link[1]
