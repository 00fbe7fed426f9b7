"""Copies of a template's nodes, one set for each render, made by a plan that was laid when the workflow loaded. Pure.

A rendered graph shares nothing that could change with the template or with another. What of a node has to be copied
for that is found out once: `dict.copy` and `list.copy` then do it at a twentieth of the cost of `copy.deepcopy`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

from engine.graph import CONTAINERS, Graph, Node, copied, to_copy

_Parts: TypeAlias = tuple[tuple[str, Any], ...]
_Plan: TypeAlias = tuple[str, Node, _Parts, dict[str, Any], _Parts, tuple[tuple[str, str, Any], ...]]


class NodeCopies:
    """Makes copies of some nodes of a graph.

    Args:
        graph: what is copied; it must not change.
        node_ids: of what; others are left out.
    """

    def __init__(self, graph: Graph, node_ids: Collection[str]) -> None:
        self._plans = tuple(_plan(node_id, to_copy(node)) for node_id, node in graph.items() if node_id in node_ids)

    def made(self) -> Graph:
        """The nodes, in the graph's order, each with `inputs`."""
        graph: Graph = {}
        for node_id, node, keys, inputs, flat, deep in self._plans:
            graph[node_id] = made = node.copy()
            for key, value in keys:
                made[key] = value.copy()
            made["inputs"] = given = inputs.copy()
            for name, value in flat:
                given[name] = value.copy()
            for holder, name, value in deep:
                (given if holder == "inputs" else made)[name] = copied(value)
        return graph


def _plan(node_id: str, node: Node) -> _Plan:
    """A node, those of its keys that hold containers of plain values; its inputs, likewise; all deeper containers."""
    inputs = node["inputs"]
    keys, deep_keys = _containers({key: value for key, value in node.items() if key != "inputs"})
    flat, deep = _containers(inputs)
    deeper = [("", key, value) for key, value in deep_keys] + [("inputs", name, value) for name, value in deep]
    return node_id, node, keys, inputs, flat, tuple(deeper)


def _containers(values: dict[str, Any]) -> tuple[_Parts, _Parts]:
    """Those of the values that hold plain values alone, and those that hold containers again."""
    flat: list[tuple[str, Any]] = []
    deep: list[tuple[str, Any]] = []
    for key, value in values.items():
        if type(value) in CONTAINERS:
            items = value.values() if type(value) is dict else value
            (flat if CONTAINERS.isdisjoint(map(type, items)) else deep).append((key, value))
    return tuple(flat), tuple(deep)
