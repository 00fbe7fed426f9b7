"""Parameters that do nothing, hide each other, or are missing."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.graph import as_link, label_of
from engine.schema import SEED_MAXIMUM
from engine.wording import listed

NO_EFFECT = code(
    "no_effect",
    "warning",
    "A parameter, or a computed value, goes only to nodes that no output needs: it changes no result.",
    "bind it to a node that an output needs, or drop it",
)
OVERRIDDEN = code(
    "overridden",
    "warning",
    "A parameter goes only to nodes whose links another one, or a computed value, always writes over: it changes no "
    "result.",
    "keep one of the two",
)
SIMILAR_NAMES = code(
    "similar_names",
    "warning",
    "The names of two parameters differ by underscores alone: callers take one for the other.",
    "rename one of them, or bind one parameter to both places",
)
UNUSED_PROPERTY = code(
    "unused_property",
    "warning",
    "A property of a list's items is in no expression of the `repeat` that the list is for.",
    "use it in the set of the repeat, as item.NAME, or drop it",
)
NO_PARAMETERS = code(
    "no_parameters",
    "note",
    "The map has no parameters: every run gives the same.",
    "name in `parameters` what callers may change",
)
FIXED_SEED = code(
    "fixed_seed",
    "note",
    "A seed of the graph is no parameter's: the same payload gives the same result every time.",
    'add a parameter of the type "seed" that is bound to it',
)

_LEAST_SEED_MAXIMUM = 2**31 - 1  # of the input; what takes less is some other number


def parameter_findings(subject: Subject) -> Iterator[Finding]:
    """What is wrong with the parameters as a whole."""
    if subject.parameter_map is None or subject.workflow is None:
        return
    if not subject.parameters:
        yield NO_PARAMETERS.at(subject.map, "parameters", "there are no parameters: every run gives the same")
    yield from _without_effect(subject)
    yield from _similar_names(subject)
    yield from _unused_properties(subject)
    if subject.parameters:
        yield from _fixed_seeds(subject)


def _without_effect(subject: Subject) -> Iterator[Finding]:
    decisive: set[str] = set()
    places: dict[str, list[str]] = {}
    replacing: dict[str, list[str]] = {}
    for writer in subject.written.values():
        names = {writer.parameter} if writer.parameter else subject.names_in(writer.expression)
        if writer.place.node_id in subject.reachable:
            decisive |= names
            if subject.always_replaces(writer):
                link = as_link(subject.graph[writer.place.node_id]["inputs"].get(writer.place.input_name))
                replacing.setdefault(link[0] if link else "", []).append(writer.parameter or "a computed value")
        elif writer.expression:
            label = label_of(subject.graph, writer.place.node_id)
            yield NO_EFFECT.at(subject.map, writer.where, f"it is written into {label}, which no output needs")
        for name in names:
            places.setdefault(name, []).append(writer.place.node_id)
    decisive |= subject.names_elsewhere
    for name, node_ids in places.items():
        if name in decisive:
            continue
        labels = listed(label_of(subject.graph, node_id) for node_id in dict.fromkeys(node_ids))
        where = f"parameters.{name}"
        others = [other for node_id in node_ids for other in replacing.get(node_id, ())]
        if others:
            message = f"{labels} would hand it on, but {listed(others)} is always written over that link"
            yield OVERRIDDEN.at(subject.map, where, message)
        else:
            yield NO_EFFECT.at(subject.map, where, f"it goes to {labels} alone, which no output needs")


def _similar_names(subject: Subject) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name in subject.parameters:
        other = first.setdefault(name.replace("_", ""), name)
        if other != name:
            yield SIMILAR_NAMES.at(subject.map, f"parameters.{name}", f"{name} and {other} differ by underscores alone")


def _unused_properties(subject: Subject) -> Iterator[Finding]:
    for name, property_name in subject.unused_properties:
        where = f"parameters.{name}.items.properties.{property_name}"
        yield UNUSED_PROPERTY.at(subject.map, where, f"no expression uses {property_name} of the items of {name}")


def _fixed_seeds(subject: Subject) -> Iterator[Finding]:
    for node_id, name, value in subject.literals():
        spec = subject.spec(node_id, name)
        is_seed = (
            spec is not None
            and spec.type == "INT"
            and (name == "seed" or name.endswith("_seed"))
            and _LEAST_SEED_MAXIMUM <= (spec.maximum or 0) <= SEED_MAXIMUM
        )
        adds_noise = subject.graph[node_id].get("inputs", {}).get("add_noise") != "disable"
        if is_seed and adds_noise and node_id in subject.queued and subject.written_at(node_id, name) is None:
            label = label_of(subject.graph, node_id)
            yield FIXED_SEED.at(subject.template, f"{node_id}.inputs.{name}", f"{label}.{name} is always {value}")
