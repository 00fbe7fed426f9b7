"""App mode: the parameters that the author of a graph chose in ComfyUI. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.selection import selected
from engine.authoring.discovery.shapes import plain_type
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.authoring.draft import AppMode


def chosen(
    wiring: Wiring, app_mode: AppMode, candidates: Iterable[Candidate]
) -> tuple[list[Candidate], list[Candidate], list[str]]:
    """The parameters as the author chose them, in that order; what was found beside them; and what is to be said."""
    found = list(candidates)
    by_place = {place: each for each in reversed(found) for place in each.places if not each.repeat}
    picked: list[Candidate] = []
    notes = list(app_mode.lost)
    for number, (place, label) in enumerate(app_mode.inputs):
        value = wiring.value(place) if place.node_id in wiring.graph else None
        if not isinstance(value, str | int | float):
            notes.append(f"App mode's input {label or place.input_name} holds no value in the graph ({place})")
            continue
        known = by_place.get(place)
        if known is None:
            name = slug(label) or slug(base_name(place)) or "value"
            known = Candidate(name, (place,), 0, {"type": plain_type(value)})
        entry = dict(known.entry)
        if label and slug(label) != known.name and slug(label) != slug(place.input_name):
            entry = {"title": label, **entry}
        picked.append(
            replace(known, places=(place,), entry=entry, rank=number, order=0, shown=True, most=len(app_mode.inputs))
        )
    own = {place for each in picked for place in each.places}
    rest = [each for each in found if not own & set(each.places)]
    if any(each.name == "seed" and each.shown for each in rest):
        notes.append("the seed is none of App mode's inputs, so every call has the template's own; left_out has it")
    # One pass names what is picked, in the author's order, and then the rest.
    in_map, _ = selected_in_order(picked)
    _, left = selected([*picked, *(replace(each, shown=False) for each in rest)])
    taken = {place for each in in_map for place in each.places}
    return in_map, [each for each in left if not taken & set(each.places)], notes


def selected_in_order(picked: list[Candidate]) -> tuple[list[Candidate], set[str]]:
    """The picked ones under names of their own."""
    names: set[str] = set()
    named = []
    for each in picked:
        name, number = each.name, 2
        while name in names:
            name, number = f"{each.name}_{number}", number + 1
        names.add(name)
        named.append(replace(each, name=name))
    return named, names


def slug(text: str) -> str:
    """A text as the name of a parameter; empty where nothing of it may stand in one."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else ""
