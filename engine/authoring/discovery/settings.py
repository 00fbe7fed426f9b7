"""Numbers and choices: seeds, steps, sizes and whatever else the field has a word for. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from engine.authoring.discovery.fields import (
    ASPECT_RATIO,
    BATCH,
    CFG,
    CHECKPOINT,
    DENOISE,
    DURATION,
    FPS,
    FRAMES,
    HEIGHT,
    LORA_STRENGTH,
    MEGAPIXELS,
    SAMPLER,
    SCHEDULER,
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
from engine.authoring.discovery.media import media_kind
from engine.authoring.discovery.models import processes_pictures
from engine.authoring.discovery.shapes import entry_of
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place

_MAKERS = frozenset(
    {"prompt", "seed", "noise_seed", "steps", "positive", "negative", "model", "text", "audio_encoder_output"}
)
_MEDIA = frozenset({"IMAGE", "VIDEO", "AUDIO", "MASK", "LATENT"})
_ADAPTS = ("control", "lora", "ipadapter", "ip_adapter", "adapter", "lllite", "style", "reference")
_ADAPTED = frozenset({"MODEL", "CONDITIONING"})
_ENLARGES = re.compile(r"scal|resiz|enlarg|enhanc|vsr|super_?res|esrgan", re.IGNORECASE)
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
        return found
    return [
        replace(each, shown=True) if each.field in _OF_PROCESSING and each.place.node_id in wiring.active else each
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
    if field is None or not _belongs(wiring, field, place):
        return None
    shown = field.most > 0 and place.node_id in wiring.active and _matters(wiring, field, place, value)
    return Setting(field, place, value, _name(wiring, field, place), shown, field.rank)


def _by_uses(wiring: Wiring, place: Place, value: Any) -> Setting | None:
    """What a node that gives one value gives it for."""
    told: list[tuple[Field, Use]] = []
    for use in uses(wiring, place.node_id):
        field = field_of(base_name(use.place), value, known=wiring.known(use.place.node_id) is not None)
        if field and _belongs(wiring, field, use.place):
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
    shown = field.most > 0 and active and any(_matters(wiring, each, at.place, value) for each, at in alike)
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


def _belongs(wiring: Wiring, field: Field, place: Place) -> bool:
    """Whether the node has to do with what the word means elsewhere."""
    inputs = wiring.inputs(place.node_id)
    if field is SEED:
        # A stage that adds no noise has none to draw, and what a language model writes is a step on the way.
        writes = wiring.makes_values(place.node_id) and not wiring.is_source(place.node_id)
        return inputs.get("add_noise") not in {"disable", False} and not writes
    if field is SCHEDULER or field is SAMPLER:
        return not str(inputs.get(place.input_name, "")).endswith((".safetensors", ".pth"))
    if field is FPS or field is DURATION:
        return not _loads_media(wiring, place.node_id)
    if field is ASPECT_RATIO and base_name(place) == "ratio":
        return isinstance(inputs.get(place.input_name), str)  # a number is how much of one thing there is in another
    if field is UPSCALE and base_name(place) == "scale":
        return bool(_ENLARGES.search(wiring.class_of(place.node_id)))
    if field is CHECKPOINT:
        return not processes_pictures(wiring, place.node_id)
    if field is BATCH and base_name(place) == "n":
        return bool({base_name(Place(place.node_id, name)) for name in inputs} & _MAKERS)
    return True


def _matters(wiring: Wiring, field: Field, place: Place, value: Any) -> bool:
    """Whether a caller has a use for it in this graph."""
    spec = wiring.known(place.node_id)
    if field is CFG:
        return bool(value != 1)  # 1 is no guidance at all, as distilled models want it
    if field in {WIDTH, HEIGHT, FRAMES} and isinstance(value, int | float) and value <= (field is FRAMES):
        return False  # 0 leaves it as it is, or takes all; one frame is a picture
    if field in {WIDTH, HEIGHT, BATCH}:
        if spec is not None and set(spec.outputs) & {"LATENT"}:
            return True
        names = {base_name(Place(place.node_id, each)) for each in wiring.inputs(place.node_id)}
        return (
            not _processes(wiring, place.node_id)
            and not (spec and set(spec.outputs) & {"CONDITIONING", "MODEL"})
            and (spec is None or field is not BATCH)
            and not (names & {"crop_w"})
        )
    if field is FRAMES:
        return (
            spec is None
            or bool(set(spec.outputs) & {"LATENT", "VIDEO", "AUDIO"})
            or wiring.is_source(place.node_id)
            or ({"width", "height"} <= wiring.inputs(place.node_id).keys() and not _processes(wiring, place.node_id))
        )
    if field is STRENGTH:
        return _adapts(wiring, place.node_id)
    if field is UPSCALE:
        return bool(value > 1)
    if field is LORA_STRENGTH:
        return _has_lora(wiring, place)
    if field is DENOISE:
        return bool(value != 1)  # 1 takes nothing of what is given, whatever feeds the latent
    sized = ASPECT_RATIO.rank <= field.rank < FPS.rank
    return not sized or not _processes(wiring, place.node_id)


def _adapts(wiring: Wiring, node_id: str) -> bool:
    """Whether a node has something beside the prompt take part: a LoRA, a hint, a picture that is to be resembled."""
    words = [wiring.class_of(node_id), *wiring.inputs(node_id)]
    if any(word in each.lower() for word in _ADAPTS for each in words):
        return True
    taken = wiring.linked_types(node_id)
    return bool(taken & {"IMAGE", "CLIP_VISION_OUTPUT"} and taken & wiring.used_types(node_id) & _ADAPTED)


def _has_lora(wiring: Wiring, place: Place) -> bool:
    """Whether the slot that a strength belongs to holds a LoRA; `None` is what several node packs call none."""
    number = _digits(place.input_name)
    names = [
        value
        for name, value in wiring.inputs(place.node_id).items()
        if "lora" in name.lower() and _digits(name) == number and isinstance(value, str)
    ]
    return "None" not in names


def _digits(name: str) -> str:
    return "".join(each for each in name if each.isdigit())


def _processes(wiring: Wiring, node_id: str) -> bool:
    """Whether a node only changes what it is given: pictures to pictures, without a model or a prompt."""
    names = {base_name(Place(node_id, name)) for name in wiring.inputs(node_id)}
    if names & _MAKERS:
        return False
    taken = {"IMAGE" if each == "MASK" else each for each in wiring.linked_types(node_id) & _MEDIA}
    given = {"IMAGE" if each == "MASK" else each for each in wiring.used_types(node_id) & _MEDIA}
    return bool(taken) and (bool(taken & given) or not given)


def _loads_media(wiring: Wiring, node_id: str) -> bool:
    return any(media_kind(wiring, Place(node_id, name)) for name in wiring.inputs(node_id))


def _name(wiring: Wiring, field: Field, place: Place) -> str:
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
        return (setting.name, setting.place.node_id, _digits(setting.place.input_name), setting.value)
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
