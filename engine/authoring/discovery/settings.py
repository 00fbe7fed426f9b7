"""Numbers and choices: seeds, steps, sizes and whatever else the field has a word for. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from engine.authoring.discovery.fields import (
    DURATION,
    FPS,
    FRAMES,
    HEIGHT,
    LORA_STRENGTH,
    MEGAPIXELS,
    PADDING,
    SEED,
    STEPS,
    STRENGTH,
    UPSCALE,
    VOLUME,
    WIDTH,
    Field,
    field_of,
)
from engine.authoring.discovery.flow import Use, is_plain, uses
from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.relevance import belongs, matters, slot_number
from engine.authoring.discovery.shapes import entry_of
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place
from engine.graph import needed_by

_SIZES = frozenset({WIDTH, HEIGHT, MEGAPIXELS})
_OF_PROCESSING = frozenset({WIDTH, HEIGHT, MEGAPIXELS, UPSCALE, FPS, VOLUME})
_DERIVED = 40  # how much less a value matters that something is computed from


@dataclass(frozen=True, slots=True)
class Setting:
    """One literal that belongs to a field."""

    field: Field
    place: Place
    value: Any
    name: str
    shown: bool
    rank: float


def settings_of(wiring: Wiring) -> list[Setting]:
    """Every literal that the field has a word for, what is first computed first.

    In a graph that generates nothing, what its steps are told is all there is to set.
    """
    found = [setting for place, value in wiring.literals() if (setting := _setting(wiring, place, value))]
    if any(setting.field in {SEED, STEPS} for setting in found):
        return _sized(wiring, found)
    return [
        replace(each, shown=True)
        if each.field in _OF_PROCESSING and each.place.node_id in wiring.active and _changes(each)
        else each
        for each in found
    ]


def _changes(setting: Setting) -> bool:
    """Whether a step does something as it is set: a size of 0 and a factor of 1 leave the picture as it is."""
    if setting.field is UPSCALE:
        return bool(setting.value != 1)
    return setting.field not in _SIZES or bool(setting.value > 0)


def _sized(wiring: Wiring, found: list[Setting]) -> list[Setting]:
    """Where nothing else says how large the result is, what the picture is scaled to before it is sampled does."""
    if any(setting.shown and setting.field in _SIZES for setting in found):
        return found
    samplers = [each.place.node_id for each in found if each.field in {SEED, STEPS} and each.shown]
    before = needed_by(wiring.graph, samplers) & wiring.active
    scales = [each for each in found if each.field in _SIZES and each.value > 0 and each.place.node_id in before]
    last = max((wiring.position[each.place.node_id] for each in scales), default=None)
    return [
        replace(each, shown=True) if each in scales and wiring.position[each.place.node_id] == last else each
        for each in found
    ]


def setting_candidates(wiring: Wiring, settings: Iterable[Setting]) -> list[Candidate]:
    """The settings as parameters: equal values of one field are one, and so are seeds that serve one result."""
    groups: dict[tuple[Any, ...], list[Setting]] = {}
    for index, setting in enumerate(settings):
        groups.setdefault(_key(wiring, setting, index), []).append(setting)
    return [_candidate(wiring, group) for group in groups.values()]


def _setting(wiring: Wiring, place: Place, value: Any) -> Setting | None:
    if is_plain(place):
        if not wiring.is_source(place.node_id):
            return None
        return _by_uses(wiring, place, value)
    field = field_of(base_name(place), value, known=wiring.known(place.node_id) is not None)
    if field is None or not belongs(wiring, field, place):
        return None
    shown = field.most > 0 and place.node_id in wiring.active and matters(wiring, field, place, value)
    return Setting(field, place, value, _name(wiring, field, place), shown, field.rank)


def _by_uses(wiring: Wiring, place: Place, value: Any) -> Setting | None:
    """What a node that gives one value gives it for."""
    told: list[tuple[Field, Use]] = []
    for use in uses(wiring, place.node_id):
        field = field_of(base_name(use.place), value, known=wiring.known(use.place.node_id) is not None)
        if field and belongs(wiring, field, use.place):
            told.append((field, use))
    if not told:
        return None
    # What reaches the frames a second is these, though frames are computed of them as well.
    rates = [(field, use) for field, use in told if field is FPS]
    direct = rates or [(field, use) for field, use in told if not use.computed]
    field, use = min(direct or told, key=lambda each: each[0].rank)
    name = _name(wiring, field, use.place)
    active = place.node_id in wiring.active and any(each.place.node_id in wiring.active for _, each in direct or told)
    # A size may go to a picture directly, and to the latent at half of it.
    alike = [(each, at) for each, at in told if each in {made for made, _ in direct or told}]
    shown = field.most > 0 and active and any(matters(wiring, each, at.place, value) for each, at in alike)
    names = {each.name for each, _ in direct or told}
    if {WIDTH.name, HEIGHT.name} <= names:
        name = "size"
    if not direct and field is FRAMES:
        # Frames are computed of seconds and frames a second.
        name = DURATION.name
        field = DURATION
    elif not direct:
        return Setting(field, place, value, name, shown=False, rank=field.rank + _DERIVED)
    return Setting(field, place, value, name, shown, field.rank)


def _name(wiring: Wiring, field: Field, place: Place) -> str:
    if field is PADDING:
        return f"pad_{base_name(place)}"
    if field is STRENGTH:
        inputs = {base_name(Place(place.node_id, name)) for name in wiring.inputs(place.node_id)}
        if inputs & {"control_net", "controlnet"}:
            return "control_strength"
        if "lora" in wiring.class_of(place.node_id).lower():
            return "lora_strength"
    return field.name


def _key(wiring: Wiring, setting: Setting, index: int) -> tuple[Any, ...]:
    if setting.field is SEED:
        return (setting.name, _variant(wiring, setting.place))
    if not setting.field.joins:
        return (setting.name, index)
    if setting.field is LORA_STRENGTH:  # those of one LoRA are one
        return (setting.name, setting.place.node_id, slot_number(setting.place.input_name), setting.value)
    return (
        (setting.name, setting.place.node_id in wiring.active, float(setting.value))
        if isinstance(setting.value, int | float)
        else (setting.name, setting.place.node_id in wiring.active, setting.value)
    )


def _variant(wiring: Wiring, place: Place) -> int:
    """The number of a node among those that differ from it by their seed alone: with one seed they'd be one result."""
    if not any(wiring.link(Place(place.node_id, name)) for name in wiring.inputs(place.node_id)):
        return 0  # what it draws for is told by its users, which are the stages of one result
    mine = _but_for_seed(wiring, place)
    value = wiring.value(place)
    earlier = 0
    for node_id in sorted(wiring.needed, key=lambda each: wiring.position[each]):
        if node_id == place.node_id:
            break
        other = Place(node_id, place.input_name)
        if _but_for_seed(wiring, other) == mine and wiring.value(other) != value:
            earlier += 1
    return earlier


def _but_for_seed(wiring: Wiring, place: Place) -> str:
    inputs = {name: value for name, value in wiring.inputs(place.node_id).items() if name != place.input_name}
    return json.dumps([wiring.class_of(place.node_id), inputs], sort_keys=True, default=str)


def _candidate(wiring: Wiring, group: list[Setting]) -> Candidate:
    shown = [setting for setting in group if setting.shown]
    first = (shown or group)[0]
    return Candidate(
        name=first.name,
        places=tuple(setting.place for setting in group),
        rank=first.rank,
        entry=entry_of(wiring, first.field, [setting.place for setting in group]),
        shown=bool(shown),
        order=wiring.position[first.place.node_id],
        most=first.field.most,
    )
