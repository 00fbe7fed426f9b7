"""From the JSONPaths of a map to concrete places in the template. Pure.

A place is one input of one node. Paths are parsed once, when a workflow loads; a render only sets keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.graph import Graph, as_link, label_of
from engine.nodes import NodeCatalogue
from engine.wording import did_you_mean, listed

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath
    from jsonpath_ng.jsonpath import DatumInContext

_PLACE_DEPTH = 3  # NODE.inputs.NAME
_UNQUOTED_ID = re.compile(r"^\$(?:\[(\d[^\]'\"]*)\]|\.(\d[\w:]*))")
_PLAIN = re.compile(
    r"""^\$(?:\[(['"])(?P<quoted>.+?)\1\]|\.(?P<bare>\w+))\.inputs(?:\[(['"])(?P<name>.+?)\4\]|\.(?P<field>\w+))$"""
)

# What every JSONPath of a place looks like that people write out. Parsing one takes a millisecond, and a map may have
# hundreds. A star stands for all keys, in quotes as well; "where" and "wherenot" are words of the language.
_NAMED = re.compile(
    r"""^\$(?:\[(['"])(?P<node>[^'"\\*]+)\1\]|\.(?P<key>(?!where(?:not)?\b)[A-Za-z_]\w*))\.inputs"""
    r"""(?:\[(['"])(?P<name>[^'"\\*]+)\4\]|\.(?P<field>(?!where(?:not)?\b)[A-Za-z_]\w*))\Z""",
    re.ASCII,
)


class BindingInvalid(ValueError):
    """A path does not lead to a place that may be written; the text says why."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One input of one node of a template."""

    node_id: str
    input_name: str

    def __str__(self) -> str:
        """The place as a JSONPath that leads to it."""
        return f"$[{_quoted(self.node_id)}].inputs" + (
            f".{self.input_name}" if self.input_name.isidentifier() else f"[{_quoted(self.input_name)}]"
        )


def resolve(
    path: str,
    graph: Graph,
    *,
    match_all: bool = False,
    replaces_link: bool = False,
    create: bool = False,
    nodes: NodeCatalogue,
) -> tuple[Place, ...]:
    """The places that a path leads to.

    Args:
        path: a JSONPath.
        graph: the template.
        match_all: it may lead to several.
        replaces_link: the places hold links, which are to be replaced.
        create: the place does not exist in the export and is to be made.
        nodes: says whether the node class has the input that is to be made.

    Raises:
        BindingInvalid: it leads nowhere, elsewhere, to too many places, or to one that does not fit the flags.
    """
    named = _at(path, graph)
    keys = [named] if named else [_keys(match) for match in _found(path, graph)]
    if create:
        return (_created(path, graph, keys, nodes),)
    if not keys:
        raise BindingInvalid(f"leads nowhere: {_why_nothing(path, graph)}")
    for found in keys:
        if len(found) != _PLACE_DEPTH or found[1] != "inputs":
            raise BindingInvalid(f"leads to {_described(found)}, not to an input; a place is $['NODE'].inputs.NAME")
    places = tuple(Place(found[0], found[2]) for found in keys)
    if len(places) > 1 and not match_all:
        raise BindingInvalid(
            f"matches {len(places)} places: {listed(map(str, places))}; "
            'make it match one, or say {"path": …, "match": "all"}'
        )
    for place in places:
        value = graph[place.node_id]["inputs"][place.input_name]
        if as_link(value) and not replaces_link:
            raise BindingInvalid(
                f"{place} holds a link to {label_of(graph, value[0])}; "
                'write the value there, or say {"path": …, "replaces_link": true}'
            )
    return places


def _created(path: str, graph: Graph, keys: list[list[str]], nodes: NodeCatalogue) -> Place:
    plain = _PLAIN.match(path)
    if keys:
        raise BindingInvalid("the input is in the export already; leave `create` out")
    if not plain:
        raise BindingInvalid("an input to be made is written out: $['NODE'].inputs.NAME")
    node_id, name = plain["quoted"] or plain["bare"], plain["name"] or plain["field"]
    if node_id not in graph:
        raise BindingInvalid(f"leads nowhere: {_why_nothing(path, graph)}")
    class_type = graph[node_id]["class_type"]
    spec = nodes.get(class_type)
    if spec is None:
        raise BindingInvalid(f"the node catalogue does not know {class_type}, so no input of it can be made")
    if spec.input(name) is None:
        raise BindingInvalid(
            f"{label_of(graph, node_id)} takes no input {name}{did_you_mean(name, spec.inputs)}; "
            f"it takes: {listed(spec.inputs)}"
        )
    return Place(node_id, name)


def _at(path: str, graph: Graph) -> list[str] | None:
    """The keys of the place that a path leads to which simply names it; None for all others."""
    named = _NAMED.match(path)
    if not named:
        return None
    node_id, name = named["node"] or named["key"], named["name"] or named["field"]
    there = node_id in graph and name in graph[node_id].get("inputs", {})
    return [node_id, "inputs", name] if there else None


def _found(path: str, graph: Graph) -> list[DatumInContext]:
    compiled = _compiled(path)
    try:
        found: list[DatumInContext] = compiled.find(graph)
    except Exception as error:  # filters and functions of jsonpath-ng (1.16) raise what Python raised in them
        raise BindingInvalid(f"can't be followed in this template: {type(error).__name__}: {error}") from error
    return found


@lru_cache(maxsize=4096)
def _compiled(path: str) -> JSONPath:
    from jsonpath_ng.exceptions import JSONPathError  # only paths that do more than name a place need it
    from jsonpath_ng.ext.parser import parse

    try:
        return parse(path)
    except (JSONPathError, ValueError, AttributeError, TypeError) as error:
        # jsonpath-ng's lexer and parser raise their own errors, its filters plain ones (1.9).
        hint = "; ids and names with other signs than letters are quoted: $['57:8'].inputs['a.b']"
        raise BindingInvalid(f"not a JSONPath: {str(error).splitlines()[0]}{hint}") from error


def _keys(match: DatumInContext) -> list[str]:
    """The keys from the root to a match."""
    from jsonpath_ng.jsonpath import Fields

    keys: list[str] = []
    step: Any = match
    while step is not None and step.context is not None:
        keys.append(step.path.fields[0] if isinstance(step.path, Fields) else str(step.path))
        step = step.context
    return keys[::-1]


def _described(keys: list[str]) -> str:
    if not keys:
        return "the whole graph"
    if len(keys) == 1:
        return f"the node {keys[0]}"
    return f"{keys[1]} of the node {keys[0]}" if len(keys) == 2 else f"what lies at {'.'.join(keys)}"


def _why_nothing(path: str, graph: Graph) -> str:
    if unquoted := _UNQUOTED_ID.match(path):
        node_id = unquoted[1] or unquoted[2]
        if node_id in graph:
            return f"the id of a node is quoted: $['{node_id}']"
    plain = _PLAIN.match(path)
    if not plain:
        return "nothing in the template matches it"
    node_id, name = plain["quoted"] or plain["bare"], plain["name"] or plain["field"]
    if node_id not in graph:
        return f"no node {node_id} in the template; the nodes are: {listed(label_of(graph, each) for each in graph)}"
    inputs: Mapping[str, Any] = graph[node_id].get("inputs", {})
    return f"{label_of(graph, node_id)} has no input {name}{did_you_mean(name, inputs)}; it has: {listed(inputs)}"


def _quoted(key: str) -> str:
    return f'"{key}"' if "'" in key else f"'{key}'"
