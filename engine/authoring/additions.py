"""What a draft has that a parameter map has not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.authoring.naming import names_in
from engine.authoring.references import bindings_of, expressions_of, places_at, places_of
from engine.authoring.summary import classes_at
from engine.authoring.trimming import with_name
from engine.bindings import Place
from engine.graph import Graph, as_link, label_of
from engine.nodes import NodeCatalogue
from engine.wording import listed


def new_in_export(
    draft: Mapping[str, Any],
    document: Mapping[str, Any],
    old: Graph,
    new: Graph,
    nodes_found: Mapping[str, str],
    nodes: NodeCatalogue,
    *,
    declares_outputs: bool,
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
        declares_outputs: the author chose outputs, so that others are returned only if they are declared as well.

    Returns:
        Entries by section: `{"parameters": {"denoise": {…}}, "expects": {…}}`; new ones under names that the map has
        not, and parameters of the map that go to new nodes as well, with the bindings for these.
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
        if seen and not repeated:
            further = [place for place in places if place.node_id not in before and place not in written]
            owner = _owner(places, document, new, nodes)
            if further and owner:
                found.setdefault("parameters", {})[owner] = _bound_further(document["parameters"][owner], further)
                if "expects" in document:
                    found.setdefault("expects", {}).update(classes_at(further, new))
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
    outputs = set(document.get("outputs", {}))
    for name, output in draft.get("outputs", {}).items() if declares_outputs else ():
        if output["node"] not in before:
            fresh = _free_name(name, outputs)
            outputs.add(fresh)
            found.setdefault("outputs", {})[fresh] = output
            if "expects" in document:
                found.setdefault("expects", {})[output["node"]] = new[output["node"]]["class_type"]
    return found


def new_in_chains(
    draft: Mapping[str, Any], document: Mapping[str, Any], graph: Graph, nodes_found: Mapping[str, str]
) -> list[str]:
    """What is to be said of new nodes in a chain of which a map repeats the others.

    Args:
        draft: a map that was made for the new export.
        document: the author's map, carried over to it.
        graph: the new export.
        nodes_found: old id to new id.
    """
    there, notes = set(nodes_found.values()), []
    for name in draft.get("parameters", {}):
        repeated = _with_its_writers(name, draft)["repeat"]
        others = [each for each in repeated if each in document.get("repeat", {})]
        if others:
            notes += [
                f"{label_of(graph, each)} is new beside {listed(label_of(graph, other) for other in others)}, "
                "which the map repeats; it takes part in every run as it is"
                for each in repeated
                if each not in there
            ]
    return notes


def _owner(places: set[Place], document: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue) -> str | None:
    """The one parameter of a map that is bound to some of the places."""
    owners = [name for name, each in document["parameters"].items() if places & set(places_of(each, graph, nodes))]
    return owners[0] if len(owners) == 1 else None


def _bound_further(parameter: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    return {**parameter, "bind": [*bindings_of(parameter), *map(str, places)]}


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
