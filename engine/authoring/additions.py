"""What a draft has that a parameter map has not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.authoring.naming import names_in
from engine.authoring.references import expressions_of, places_at, places_of
from engine.authoring.trimming import with_name
from engine.bindings import Place
from engine.graph import Graph, as_link
from engine.nodes import NodeCatalogue


def new_in_export(
    draft: Mapping[str, Any],
    document: Mapping[str, Any],
    old: Graph,
    new: Graph,
    nodes_found: Mapping[str, str],
    nodes: NodeCatalogue,
) -> dict[str, dict[str, Any]]:
    """The parameters and outputs of a draft that its author has not seen yet.

    What was in the old export as well is left out: whoever made the map has left it out.

    Args:
        draft: a map that was made for the new export.
        document: the author's map, carried over to the new export.
        old: the export before.
        new: the export.
        nodes_found: old id to new id.
        nodes: the node catalogue.

    Returns:
        Entries by section, under names that the map has not: `{"parameters": {"denoise": {…}}, "expects": {…}}`.
    """
    before = {after: node_id for node_id, after in nodes_found.items()}
    written = _written(document, new, nodes)
    found: dict[str, dict[str, Any]] = {}
    names = set(document.get("parameters", {}))
    for name in draft.get("parameters", {}):
        part = _with_its_writers(name, draft)
        places = _written(part, new, nodes)
        repeated = set(part["repeat"])
        seen = any(_was_there(place, before, old) for place in places) or repeated & before.keys()
        if seen or written & places or repeated & document.get("repeat", {}).keys() or not (places or repeated):
            continue
        fresh = _free_name(name, names)
        names.add(fresh)
        for section, entries in with_name(part, name, fresh).items():
            found.setdefault(section, {}).update(entries)
        if "expects" in document:
            ids = {place.node_id for place in places} | repeated
            found.setdefault("expects", {}).update({each: new[each]["class_type"] for each in new if each in ids})
    found = {section: entries for section, entries in found.items() if entries}
    for name, output in draft.get("outputs", {}).items() if document.get("outputs") else ():
        if output["node"] not in before:
            found.setdefault("outputs", {})[_free_name(name, set(document["outputs"]))] = output
    return found


def _written(document: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue) -> set[Place]:
    places = {each for parameter in document["parameters"].values() for each in places_of(parameter, graph, nodes)}
    for path in document.get("computed", {}):
        places.update(places_at(path, graph, nodes))
    return places


def _was_there(place: Place, before: Mapping[str, str], old: Graph) -> bool:
    node = old.get(before.get(place.node_id, ""))
    if node is None:
        return False
    inputs = node.get("inputs", {})
    return place.input_name in inputs and not as_link(inputs[place.input_name])


def _with_its_writers(name: str, draft: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A parameter of a draft, and what writes its value where it has no place of its own."""
    part: dict[str, dict[str, Any]] = {"parameters": {name: draft["parameters"][name]}}
    for section in ("computed", "repeat"):
        entries = draft.get(section, {}).items()
        part[section] = {key: each for key, each in entries if _uses(name, {section: {key: each}})}
    return part


def _uses(name: str, part: Mapping[str, Any]) -> bool:
    return any(name in names_in(source) for _, source in expressions_of(part))


def _free_name(name: str, taken: set[str]) -> str:
    return next(each for each in _numbered(name) if each not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
