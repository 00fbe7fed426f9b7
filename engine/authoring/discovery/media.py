"""Pictures, films and sounds that a graph loads, named by what they are for. Pure."""

from __future__ import annotations

import re
from typing import Any

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place
from engine.graph import label_of
from engine.raw_graph.files import BUILT_IN

_KINDS = ("image", "video", "audio", "file")
_SUFFIXES = {
    "image": re.compile(r"\.(png|jpe?g|webp|bmp|gif|tiff?|heic|avif)(\s*\[\w+\])?$", re.IGNORECASE),
    "video": re.compile(r"\.(mp4|webm|mov|mkv|avi|m4v|gif)(\s*\[\w+\])?$", re.IGNORECASE),
    "audio": re.compile(r"\.(wav|mp3|flac|ogg|m4a|opus|aac)(\s*\[\w+\])?$", re.IGNORECASE),
}
_LOADS = re.compile(r"load", re.IGNORECASE)
_ELSEWHERE = re.compile(r"url|path|base64|folder|dir|batch|s3|http|model", re.IGNORECASE)
_CONTENT = r"(\w+_)?(base64(_\w+)?|image|mask|video|audio|data)"
_ADDRESS = r"(\w+_)?(urls?|link|image|video|audio|file|path)"
_FETCHES_MODELS = re.compile(r"lora|model|checkpoint|download", re.IGNORECASE)
_ROLES = (  # the first that holds names it
    ("image", re.compile(r"pixels|init_image")),
    ("start_image", re.compile(r"(start|first)_?(image|frame)\w*")),
    ("end_image", re.compile(r"(end|last|tail)_?(image|frame)\w*")),
    ("control_image", re.compile(r"control_?(image|video|net_image)|hint|pose_(image|video)|depth_image")),
    ("face_image", re.compile(r"(input_|source_)?faces?(_image)?")),
    ("reference_image", re.compile(r"(ref|reference|style|character|subject)_?images?\w*|clip_vision\w*|ref_img")),
    ("mask", re.compile(r"(\w+_)?mask")),
)
_WORDS = {
    "image": "The picture to work on.",
    "mask": "White where something is to change.",
    "video": "The video to work on.",
    "audio": "The sound to work on.",
    "control_image": "What leads the composition.",
    "start_image": "The first frame.",
    "end_image": "The last frame.",
    "reference_image": "What the result is to resemble.",
}
_PICTURES = frozenset({"IMAGE", "MASK", "LATENT", "VIDEO", "", "*", "CLIP_VISION_OUTPUT"})


def media_candidates(wiring: Wiring) -> list[Candidate]:
    """The files that a graph loads, each a required parameter: its literal is a file of the author's machine."""
    groups: dict[tuple[str, str, str], list[Place]] = {}
    for place, value in wiring.literals():
        if isinstance(value, str) and (kind := media_kind(wiring, place)):
            if kind == "image" and _is_mask(wiring, place):
                kind = "mask"
            groups.setdefault((kind, value, "" if value else str(place)), []).append(place)
    named = [(kind, places, _role(wiring, kind, places)) for (kind, _, _), places in groups.items()]
    alone = {kind for kind, _, _ in named if sum(1 for other, _, _ in named if other == kind) == 1}
    found = []
    for kind, places, role in named:
        name = role if kind not in alone or role in {"control_image", "mask"} else kind
        found.append(
            Candidate(
                name=name,
                places=tuple(places),
                rank=22 if kind == "mask" else 20,
                entry=_entry(kind, name),
                shown=any(place.node_id in wiring.active for place in places),
                order=wiring.position[places[0].node_id],
                most=99,
            )
        )
    return found


def address_candidates(wiring: Wiring) -> tuple[list[Candidate], list[str]]:
    """Files that a node fetches by itself or takes as base64, as texts; and what is to be said of them."""
    found, notes = [], []
    for place, value in wiring.literals():
        class_type, name = wiring.class_of(place.node_id), base_name(place)
        if wiring.known(place.node_id) or not isinstance(value, str) or _FETCHES_MODELS.search(class_type):
            continue
        kind = _by_name(class_type) or _by_name(name)
        if kind and "base64" in f"{class_type} {name}".lower() and re.fullmatch(_CONTENT, name):
            form, words = "base64", f"The {kind} in base64."
        elif kind and re.match(r"https?://", value) and re.fullmatch(_ADDRESS, name):
            form, words = "url", f"Where the {kind} is fetched from."
            notes.append(
                f"{label_of(wiring.graph, place.node_id)} fetches what it is told, and nothing checks the address; a "
                f"node that loads a file, such as LoadImage, gets it checked and fetched by the engine"
            )
        else:
            continue
        entry = {"type": "string", "required": True, "minLength": 1, "description": words}
        shown = place.node_id in wiring.active
        order = wiring.position[place.node_id]
        found.append(Candidate(f"{kind}_{form}", (place,), 21, entry, shown=shown, order=order, most=99))
    return found, notes


def media_kind(wiring: Wiring, place: Place) -> str | None:
    """What sort of file an input takes the name of; None where it takes none that can be sent."""
    class_type, value = wiring.class_of(place.node_id), wiring.value(place)
    spec = wiring.spec(place)
    if spec is not None and spec.uploads:
        told = spec.uploads if spec.uploads in _KINDS else "file"
        return _by_name(class_type) if told == "file" and _by_name(class_type) else told
    if (class_type, place.input_name) in BUILT_IN:
        return _by_name(class_type) or "file"
    if spec is not None or not isinstance(value, str) or "/" in value.strip("/") or ":" in value:
        return None
    if _LOADS.search(class_type) and not _ELSEWHERE.search(class_type) and not _ELSEWHERE.search(place.input_name):
        kind = _by_name(class_type)
        return kind if kind and _SUFFIXES[kind].search(value) else None
    return None


def _by_name(class_type: str) -> str | None:
    return next((kind for kind in ("video", "audio", "image") if kind in class_type.lower()), None)


def _is_mask(wiring: Wiring, place: Place) -> bool:
    if "mask" in wiring.class_of(place.node_id).lower():
        return True
    types = wiring.used_types(place.node_id)
    return types == {"MASK"}


def _role(wiring: Wiring, kind: str, places: list[Place]) -> str:
    """What pictures are for, by the inputs that they reach."""
    if kind in {"audio", "file", "mask"}:
        return kind
    reached: set[str] = set()
    seen: set[str] = set()
    waiting = [place.node_id for place in places]
    while waiting:
        node_id = waiting.pop(0)
        for user, index in wiring.users.get(node_id, ()):
            if wiring.output_type(node_id, index) not in _PICTURES:
                continue
            if wiring.output_type(node_id, index) == "MASK" and node_id in {place.node_id for place in places}:
                continue  # its transparency, beside its picture
            inputs = {base_name(Place(user.node_id, name)) for name in wiring.inputs(user.node_id)}
            name = base_name(user)
            if inputs & {"control_net", "controlnet"} and not inputs & {"model", "mask"}:
                name = "control_image"  # with a model it is what that is adapted to, with a mask what is repaired
            elif name == "image" and "MODEL" in wiring.used_types(user.node_id):
                name = "reference_image"  # a model is adapted to it
            elif name == "image" and inputs & {"model", "seed", "noise_seed"}:
                name = "init_image"
            role = next((role for role, pattern in _ROLES if pattern.fullmatch(name)), None)
            if role:
                reached.add(role)
            elif user.node_id not in seen:
                seen.add(user.node_id)
                waiting.append(user.node_id)
    role = next((role for role, _ in _ROLES if role in reached and role != "mask"), kind)
    return role if kind == "image" or role == "image" else role.replace("image", "video")


def _entry(kind: str, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": kind, "required": True}
    if words := _WORDS.get(name):
        entry["description"] = words
    return entry
