"""Operations on an API graph: `{node id: {"class_type": …, "inputs": {…}}}`. Pure.

An input's value is a literal or a link, `[node id, output index]`. ComfyUI takes every list of two whose first
item is a text and whose second is a number for a link (`is_link` in its comfy_execution/graph_utils.py, 0.3.64), so
any other list has to be wrapped as `{"__value__": […]}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from engine.errors import InvalidMap, Problem
from engine.wording import kind_of

Node: TypeAlias = dict[str, Any]
Graph: TypeAlias = dict[str, Node]
Link: TypeAlias = tuple[str, int]

COPY_OF = "copy_of"
"""The key in the `_meta` of a rendered node that says of which node of the template it is a copy."""


def parse_graph(document: Any, *, label: str) -> Graph:
    """Check that a document is a graph in API format.

    Args:
        document: what `read_json` gave.
        label: how messages call the file.

    Raises:
        InvalidMap: it is not; an export in UI format is told apart.
    """
    problems = [Problem(where, message, file=label) for where, message in _graph_problems(document)]
    if problems:
        raise InvalidMap(problems=problems)
    graph: Graph = document
    return graph


def _graph_problems(document: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(document, dict):
        yield "", f"a graph is a JSON object of nodes, not {kind_of(document)}"
    elif isinstance(document.get("nodes"), list) and "links" in document:
        yield "", "this is a UI-format export; in ComfyUI choose Workflow > Export (API)"
    elif isinstance(document.get("prompt"), dict) and "class_type" not in document["prompt"]:
        yield "", 'the graph stands under "prompt" here; a template is that graph alone'
    elif not document:
        yield "", "the graph has no nodes"
    else:
        yield from _node_problems(document)
        if cycle := find_cycle(document):
            yield "", f"the links go round in a circle: {' -> '.join(cycle)}"


def _node_problems(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for node_id, node in document.items():
        if not isinstance(node, dict):
            yield node_id, f"a node is an object, not {kind_of(node)}"
        elif not isinstance(node.get("class_type"), str):
            yield node_id, "the node has no class_type"
        elif not isinstance(node.get("inputs", {}), dict):
            yield node_id, f"a node's inputs are an object, not {kind_of(node['inputs'])}"
        else:
            for name, link in links(node):
                if link[0] not in document:
                    yield f"{node_id}.inputs.{name}", f"it is linked to node {link[0]}, which does not exist"


def as_link(value: Any) -> Link | None:
    """The link a value is; None where it is a literal."""
    if isinstance(value, list) and len(value) == 2:
        node_id, index = value
        if type(node_id) is str and type(index) is int:  # nearly all are like that
            return node_id, index
        if isinstance(node_id, str) and isinstance(index, int | float) and not isinstance(index, bool):
            # Python reads NaN and Infinity in JSON; they are no index.
            return (node_id, int(index)) if math.isfinite(index) else None
    return None


def links(node: Mapping[str, Any]) -> Iterator[tuple[str, Link]]:
    """The inputs of a node that hold a link."""
    for name, value in node.get("inputs", {}).items():
        if type(value) is list and (link := as_link(value)):
            yield name, link


def needed_by(graph: Mapping[str, Mapping[str, Any]], node_ids: Iterable[str]) -> set[str]:
    """The given nodes and all that they are linked to, directly or not; unknown ids are left out."""
    waiting = [node_id for node_id in node_ids if node_id in graph]
    needed: set[str] = set(waiting)
    while waiting:
        for value in graph[waiting.pop()].get("inputs", {}).values():
            if type(value) is list and (link := as_link(value)):
                source = link[0]
                if source not in needed and source in graph:
                    needed.add(source)
                    waiting.append(source)
    return needed


def find_cycle(graph: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """The ids of nodes whose links form a circle, the first one repeated at the end; None where there is none."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, Iterator[str]]] = []
        entering: str | None = start
        while entering is not None or stack:
            if entering is not None:
                if entering in on_path:
                    return [*path[path.index(entering) :], entering]
                if entering not in done:
                    path.append(entering)
                    on_path.add(entering)
                    targets = [link[0] for _, link in _links_if_node(graph[entering]) if link[0] in graph]
                    stack.append((entering, iter(targets)))
                entering = None
                if not stack:
                    break
            node_id, following = stack[-1]
            entering = next(following, None)
            if entering is None:
                stack.pop()
                done.add(node_id)
                on_path.discard(path.pop())
    return None


def _links_if_node(node: Any) -> Iterator[tuple[str, Link]]:
    return links(node) if isinstance(node, Mapping) and isinstance(node.get("inputs", {}), Mapping) else iter(())


def original_id(graph: Mapping[str, Any], node_id: str) -> str:
    """The node of the template that a rendered node is a copy of; itself where it is none."""
    original = _said_of(graph.get(node_id), COPY_OF)
    return node_id if original is None else original


def title_of(node: Mapping[str, Any]) -> str | None:
    """What a node is called in ComfyUI's editor; None where the graph does not say."""
    return _said_of(node, "title")


def _said_of(node: Any, key: str) -> str | None:
    meta = node.get("_meta") if isinstance(node, Mapping) else None
    said = meta.get(key) if isinstance(meta, Mapping) else None
    return said if isinstance(said, str) else None


def label_of(graph: Mapping[str, Mapping[str, Any]], node_id: str) -> str:
    """How messages call a node: `KSampler (3)`."""
    return f"{graph[node_id]['class_type']} ({node_id})" if node_id in graph else f"node {node_id}"


def to_copy(node: Node) -> Node:
    """A node of the template as renders copy it: with inputs, and, from a rendered graph, without its own mark."""
    meta = node.get("_meta")
    if isinstance(meta, dict) and COPY_OF in meta:
        node = {**node, "_meta": {key: value for key, value in meta.items() if key != COPY_OF}}
    return node if "inputs" in node else {**node, "inputs": {}}


def copied(value: Any) -> Any:
    """What shares nothing with the template's: deepcopy does the same at many times the cost."""
    if type(value) is dict:
        if CONTAINERS.isdisjoint(map(type, value.values())):
            return value.copy()
        return {key: copied(item) if type(item) in CONTAINERS else item for key, item in value.items()}
    return [copied(item) if type(item) in CONTAINERS else item for item in value]


CONTAINERS = frozenset({dict, list})
"""What `copied` copies; all else of JSON's types never changes."""
