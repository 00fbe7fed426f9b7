"""App mode: the parameters that the author of a graph chose in ComfyUI. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.selection import named, selected
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
    labels: list[str] = []
    notes = list(app_mode.lost)
    for place, label in app_mode.inputs:
        if any(place in each.places for each in picked):
            continue
        value = wiring.value(place) if place.node_id in wiring.needed else None
        if not isinstance(value, str | int | float):
            notes.append(f"App mode's input {label or place.input_name} holds no value that an output needs ({place})")
            continue
        known = by_place.get(place)
        if known is None:
            name = slug(label) or slug(base_name(place)) or "value"
            known = Candidate(name, (place,), 0, {"type": plain_type(value)})
        same = next((n for n, each in enumerate(picked) if labels[n] == label and _is_one(known, each)), None)
        if same is None:
            picked.append(replace(known, places=(place,), shown=True, most=len(app_mode.inputs)))
            labels.append(label)
        else:
            picked[same] = replace(picked[same], places=(*picked[same].places, place))
    picked = [replace(each, rank=number, order=0) for number, each in enumerate(_labelled(picked, labels))]
    own = {place for each in picked for place in each.places}
    rest = [each for each in found if not own & set(each.places)]
    if any(each.name == "seed" and each.shown for each in rest):
        notes.append("the seed is none of App mode's inputs, so every call has the template's own; left_out has it")
    names: dict[str, None] = {}
    in_map = named(picked, names)
    _, left = selected(replace(each, shown=False) for each in rest)
    return in_map, named(left, names), notes


def _is_one(known: Candidate, picked: Candidate) -> bool:
    """Whether a place belongs to a parameter that was picked: one choice of the author's may go to several."""
    return known.entry is picked.entry and known.entry["type"] != "seed"


def _labelled(picked: list[Candidate], labels: list[str]) -> list[Candidate]:
    """The author's own words as titles, and as names where they tell parameters of one name apart."""
    found = []
    for each, label in zip(picked, labels, strict=True):
        alike = [other for other, its in zip(labels, picked, strict=True) if its.name == each.name]
        apart = len(alike) > 1 and len({slug(other) for other in alike} - {""}) == len(alike)
        name = slug(label) if apart else each.name
        own_words = label and slug(label) not in {name, each.name}
        found.append(replace(each, name=name, entry={"title": label, **each.entry} if own_words else dict(each.entry)))
    return found


def slug(text: str) -> str:
    """A text as the name of a parameter; empty where nothing of it may stand in one."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else ""
