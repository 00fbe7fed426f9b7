"""Where a parameter map names nodes of its template, and how such a name is changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from engine.bindings import BindingInvalid, Place, resolve
from engine.graph import Graph, label_of
from engine.nodes import NodeCatalogue

_QUOTED = r"""(?:'[^']*'|"[^"]*")"""
# $['3'].… , $['3', '4'].… and $.name.…; anything else finds its nodes by a filter or takes all of them.
_HEAD = re.compile(rf"^\$(?:\[\s*(?P<ids>{_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\]|\.(?P<bare>\w+))(?=[.\[])")
_LINK = re.compile(rf"\[\s*(?P<id>{_QUOTED})\s*,\s*(?P<index>\d+)\s*\]")


def ids_in(path: str) -> list[str]:
    """The nodes that a JSONPath names by their ids; none where it finds them in another way."""
    head = _HEAD.match(path)
    if head is None:
        return []
    return [head["bare"]] if head["bare"] else [each[1:-1] for each in re.findall(_QUOTED, head["ids"])]


def path_with(path: str, ids: Mapping[str, str]) -> str:
    """The path, the ids in it replaced; the rest stays as its author wrote it."""
    head = _HEAD.match(path)
    if head is None or not any(ids.get(each, each) != each for each in ids_in(path)):
        return path
    named = ", ".join(_quoted(ids.get(each, each), like=head["ids"] or "'") for each in ids_in(path))
    return f"$[{named}]{path[head.end() :]}"


def links_in(expression: str) -> list[str]:
    """The nodes that an expression links to: `['12', 0]`."""
    return [match["id"][1:-1] for match in _LINK.finditer(expression)]


def links_with(expression: str, ids: Mapping[str, str]) -> str:
    """The expression, the ids in its links replaced."""

    def changed(match: re.Match[str]) -> str:
        before = match["id"][1:-1]
        after = ids.get(before, before)
        if after == before:
            return match[0]
        start, end = match.span("id")
        return match[0][: start - match.start()] + _quoted(after, like=match["id"]) + match[0][end - match.start() :]

    return _LINK.sub(changed, expression)


def bindings_of(parameter: Any) -> list[Any]:
    """What stands under `bind` of a parameter, as a list of paths and of objects with a path."""
    bind = parameter.get("bind", []) if isinstance(parameter, Mapping) else []
    return list(bind) if isinstance(bind, list) else [bind]


def path_of(binding: Any) -> str:
    """The path of a binding in either form."""
    return str(binding.get("path", "")) if isinstance(binding, Mapping) else str(binding)


def places_at(path: str, graph: Graph, nodes: NodeCatalogue) -> tuple[Place, ...]:
    """The places that a path leads to, linked ones too; none where it leads nowhere or elsewhere."""
    try:
        return resolve(path, graph, match_all=True, replaces_link=True, nodes=nodes)
    except BindingInvalid:
        return ()


def places_of(parameter: Any, graph: Graph, nodes: NodeCatalogue) -> list[Place]:
    """The places that a parameter of a map is bound to, those that are to be made included."""
    found: list[Place] = []
    for binding in bindings_of(parameter):
        path = path_of(binding)
        if isinstance(binding, Mapping) and binding.get("create"):
            found += _to_be_made(path, graph, nodes)
        else:
            found += places_at(path, graph, nodes)
    return found


def listed_places(places: Iterable[Place], graph: Graph) -> str:
    """Places for people: `KSampler (3).steps, KSampler (4).steps`."""
    return ", ".join(f"{label_of(graph, each.node_id)}.{each.input_name}" for each in places)


def _to_be_made(path: str, graph: Graph, nodes: NodeCatalogue) -> tuple[Place, ...]:
    try:
        return resolve(path, graph, create=True, nodes=nodes)
    except BindingInvalid:
        return ()


def expressions_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every expression of a map with the section it is in."""
    for computed in _values(document, "computed"):
        yield "computed", computed.get("expression", "") if isinstance(computed, Mapping) else computed
    for rule in document.get("rules", []):
        yield "rules", rule.get("that", "")
    for switch in _values(document, "switches"):
        yield "switches", switch.get("when", "")
    for repeat in _values(document, "repeat"):
        yield "repeat", repeat.get("over", "")
        yield from (("repeat", each) for each in repeat.get("set", {}).values())


def with_expressions(document: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The map, each of its expressions changed."""
    made = dict(document)
    if "computed" in made:
        made["computed"] = {
            path: {**each, "expression": change(each["expression"])} if isinstance(each, Mapping) else change(each)
            for path, each in made["computed"].items()
        }
    if "rules" in made:
        made["rules"] = [{**each, "that": change(each["that"])} for each in made["rules"]]
    if "switches" in made:
        made["switches"] = {name: {**each, "when": change(each["when"])} for name, each in made["switches"].items()}
    if "repeat" in made:
        made["repeat"] = {node_id: _repeat_with(each, change) for node_id, each in made["repeat"].items()}
    return made


def _repeat_with(repeat: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    made = {**repeat, "over": change(repeat["over"])}
    if "set" in made:
        made["set"] = {name: change(each) for name, each in made["set"].items()}
    return made


def nodes_named(document: Mapping[str, Any]) -> list[str]:
    """Every node that a map names by its id, in the order of the map, each once."""
    found: list[str] = []
    for parameter in _values(document, "parameters"):
        for binding in bindings_of(parameter):
            found += ids_in(path_of(binding))
    for path, computed in document.get("computed", {}).items():
        found += ids_in(path)
        if isinstance(computed, Mapping) and computed.get("replaces_link"):
            found += links_in(computed.get("expression", ""))
    for switch in _values(document, "switches"):
        found += [*switch.get("bypass", []), *switch.get("remove", []), *switch.get("through", {})]
    found += document.get("repeat", {})
    found += [output["node"] for output in _values(document, "outputs")]
    found += document.get("expects", {})
    return list(dict.fromkeys(found))


def _values(document: Mapping[str, Any], section: str) -> Iterable[Any]:
    values: Iterable[Any] = document.get(section, {}).values()
    return values


def _quoted(node_id: str, *, like: str) -> str:
    quote = like[0] if like[0] in "'\"" else "'"
    if quote in node_id:
        quote = '"' if quote == "'" else "'"
    return f"{quote}{node_id}{quote}"
