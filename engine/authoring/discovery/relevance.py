"""Whether an input means in its graph what its name means elsewhere, and whether a caller has a use for it. Pure."""

from __future__ import annotations

import re
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
    PADDING,
    SAMPLER,
    SCHEDULER,
    SEED,
    STRENGTH,
    UPSCALE,
    WIDTH,
    Field,
)
from engine.authoring.discovery.media import media_kind
from engine.authoring.discovery.models import processes_pictures
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place

_MAKERS = frozenset(
    {"prompt", "seed", "noise_seed", "steps", "positive", "negative", "model", "text", "audio_encoder_output"}
)
_MEDIA = frozenset({"IMAGE", "VIDEO", "AUDIO", "MASK", "LATENT"})
_ADAPTS = ("control", "lora", "ipadapter", "ip_adapter", "adapter", "lllite", "style", "reference")
_ADAPTED = frozenset({"MODEL", "CONDITIONING"})
_PADS = re.compile(r"pad|outpaint", re.IGNORECASE)
_ENLARGES = re.compile(r"scal|resiz|enlarg|enhanc|vsr|super_?res|esrgan", re.IGNORECASE)


def belongs(wiring: Wiring, field: Field, place: Place) -> bool:
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
    if field is PADDING:
        return bool(_PADS.search(wiring.class_of(place.node_id)))
    if field in {WIDTH, HEIGHT}:
        return inputs.get("force_size") != "Disabled"
    if field is CHECKPOINT:
        return not processes_pictures(wiring, place.node_id)
    if field is BATCH and base_name(place) == "n":
        return bool({base_name(Place(place.node_id, name)) for name in inputs} & _MAKERS)
    return True


def matters(wiring: Wiring, field: Field, place: Place, value: Any) -> bool:
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
            and not _loads_media(wiring, place.node_id)
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
    number = slot_number(place.input_name)
    names = [
        value
        for name, value in wiring.inputs(place.node_id).items()
        if "lora" in name.lower() and slot_number(name) == number and isinstance(value, str)
    ]
    return "None" not in names


def slot_number(name: str) -> str:
    """The number in the name of an input, which loaders of many tell their slots by; empty where there is none."""
    return "".join(each for each in name if each.isdigit())


def _processes(wiring: Wiring, node_id: str) -> bool:
    """Whether a node only changes what it is given: pictures to pictures, without a model or a prompt."""
    names = {base_name(Place(node_id, name)) for name in wiring.inputs(node_id)}
    if names & _MAKERS:
        return False
    taken = {"IMAGE" if each == "MASK" else each for each in wiring.linked_types(node_id) & _MEDIA}
    used = wiring.used_types(node_id)
    given = {"IMAGE" if each == "MASK" else each for each in used & _MEDIA}
    return bool(taken) and (bool(taken & given) or not (given or "" in used))


def _loads_media(wiring: Wiring, node_id: str) -> bool:
    return any(media_kind(wiring, Place(node_id, name)) for name in wiring.inputs(node_id))
