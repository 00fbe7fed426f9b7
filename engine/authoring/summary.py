"""A parameter map in a few lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.authoring.naming import names_in
from engine.authoring.references import listed_places, places_of
from engine.bindings import Place
from engine.graph import Graph, as_link, label_of
from engine.nodes import NodeCatalogue
from engine.schema import MEDIA_TYPES
from engine.wording import one_line, shown

_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter.

    Attributes:
        name: the parameter.
        type: its type.
        value: what it is where a caller does not send it: `required`, `default 20`, `drawn`, `none`.
        places: where its value goes, `KSampler (3).steps`, or what it is used in.
    """

    name: str
    type: str
    value: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        """`steps: integer, default 20; KSampler (3).steps`."""
        return f"{self.name}: {self.type}, {self.value}; {', '.join(self.places)}"


def rows(document: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue) -> list[Row]:
    """The parameters of a map.

    Args:
        document: the map.
        graph: its template.
        nodes: the node catalogue.
    """
    return [row(name, each, document, graph, nodes) for name, each in document.get("parameters", {}).items()]


def row(
    name: str, parameter: Mapping[str, Any], document: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue
) -> Row:
    """One parameter of a map, or one that is to become one."""
    places = places_of(parameter, graph, nodes)
    named = [listed_places([each], graph) for each in places]
    value = _value(parameter, places, graph)
    return Row(name, str(parameter.get("type", "")), value, (*named, *_used_in(name, document, graph)))


def classes_at(places: Iterable[Place], graph: Graph) -> dict[str, str]:
    """What `expects` says of the nodes of some places."""
    return {each.node_id: graph[each.node_id]["class_type"] for each in places}


def _value(parameter: Mapping[str, Any], places: list[Place], graph: Graph) -> str:
    if parameter.get("required"):
        return "required"
    if "default" in parameter:
        default = parameter["default"]
        drawn = parameter.get("type") == "seed" and default == -1
        return "drawn" if drawn else "none" if default is None else f"default {_short(default)}"
    if parameter.get("type") == "seed":
        return "drawn"
    if parameter.get("type") in MEDIA_TYPES or not places:
        return "none"
    literal = graph[places[0].node_id].get("inputs", {}).get(places[0].input_name)
    return "none" if literal is None or as_link(literal) else f"default {_short(literal)}"


def _short(value: Any) -> str:
    return one_line(shown(value), _LONGEST_VALUE)


def _used_in(name: str, document: Mapping[str, Any], graph: Graph) -> list[str]:
    """What uses it without being a place of its own."""
    used = []
    for path, computed in document.get("computed", {}).items():
        if name in names_in(computed["expression"] if isinstance(computed, Mapping) else computed):
            used.append(f"computed {path}")
    for node_id, repeat in document.get("repeat", {}).items():
        if any(name in names_in(source) for source in (repeat["over"], *repeat.get("set", {}).values())):
            used.append(f"{label_of(graph, node_id)}, repeated")
    for key, switch in document.get("switches", {}).items():
        if name in names_in(switch["when"]):
            used.append(f"switch {key}")
    return used
