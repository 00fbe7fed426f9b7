"""The model files that a graph loads, below ComfyUI's models folder. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.authoring.discovery.fields import MODEL
from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place
from engine.model_entries import path_problem

_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx|engine)$", re.IGNORECASE)

_FETCHES = re.compile(r"download", re.IGNORECASE)  # into folders of their own
_LOADS = re.compile(r"^(?!.*download).*load", re.IGNORECASE)
# By class first: several loaders call their input alike (ComfyUI 0.8.0, folder_paths.py and nodes.py).
_BY_CLASS = (
    (r"clip_?vision", "clip_vision"),
    (r"upscale.*latent|latent.*upscale", "latent_upscale_models"),
    (r"upscale", "upscale_models"),
    (r"style_?model", "style_models"),
    (r"control_?net", "controlnet"),
    (r"lora", "loras"),
    (r"vae", "vae"),
    (r"ip_?adapter", "ipadapter"),
    (r"instant_?id", "instantid"),
    (r"pulid", "pulid"),
    (r"photo_?maker", "photomaker"),
    (r"model_?patch", "model_patches"),
    (r"audio_?encoder", "audio_encoders"),
    (r"hyper_?network", "hypernetworks"),
    (r"gligen", "gligen"),
    (r"ultralytics", "ultralytics"),
    (r"sam_?loader|sam_?model", "sams"),
    (r"animate_?diff", "animatediff_models"),
    (r"checkpoint|ckpt", "checkpoints"),
    (r"unet|diffusion_?model", "diffusion_models"),
    (r"clip|text_?encoder", "text_encoders"),
)
_BY_INPUT = (
    (r"ckpt.*|checkpoint.*", "checkpoints"),
    (r"unet.*|diffusion_model.*", "diffusion_models"),
    (r"clip_vision.*", "clip_vision"),
    (r"clip_?(name|file|model)?\d*|text_?encoder.*|t5.*", "text_encoders"),
    (r"vae.*", "vae"),
    (r"lora.*", "loras"),
    (r"control_?net.*", "controlnet"),
    (r"upscale_model.*|upscaler.*", "upscale_models"),
    (r"style_model.*", "style_models"),
    (r"ip_?adapter.*", "ipadapter"),
    (r"instant_?id.*", "instantid"),
    (r"pulid.*", "pulid"),
    (r"photo_?maker.*", "photomaker"),
    (r"gligen.*", "gligen"),
    (r"hypernetwork.*", "hypernetworks"),
    (r"embedding.*", "embeddings"),
)


def model_places(wiring: Wiring) -> Iterator[tuple[Place, str, str | None]]:
    """The inputs that name model files: the place, the file, its folder if it can be told."""
    for place, value in wiring.literals():
        if isinstance(value, str) and _FILE.search(value.strip()) and "://" not in value:
            folder = model_folder(wiring.class_of(place.node_id), place)
            if folder == "checkpoints" and processes_pictures(wiring, place.node_id):
                folder = None  # its own model, which many packs call a checkpoint, too, and fetch by themselves
            yield place, value.strip().replace("\\", "/").lstrip("/"), folder


def processes_pictures(wiring: Wiring, node_id: str) -> bool:
    """Whether a node changes the pictures it is linked to, with a model of its own: it loads none for others."""
    return "IMAGE" in wiring.linked_types(node_id)


def model_folder(class_type: str, place: Place) -> str | None:
    """The folder below `models` that a loader looks in; None where neither input nor class tells."""
    name = base_name(place)
    if _FETCHES.search(class_type):
        return None
    # A loader of several sorts says by its inputs which is which; one of one sort by its class.
    told = [folder for pattern, folder in _BY_INPUT if re.fullmatch(pattern, name)]
    by_class = [folder for pattern, folder in _BY_CLASS if re.search(pattern, class_type, re.IGNORECASE)]
    if told and not (told[0] == "text_encoders" and by_class[:1] == ["clip_vision"]):
        return told[0]
    return by_class[0] if by_class else None


def required_models(wiring: Wiring) -> tuple[list[dict[str, Any]], list[str]]:
    """`requires.models` of a map, and what is to be said of files whose folder nothing tells."""
    listed: dict[str, dict[str, Any]] = {}
    notes = []
    for place, file, folder in model_places(wiring):
        path = f"{folder}/{file}"
        if folder and path_problem(path) is None:
            listed.setdefault(path, {"path": path, "url": None, "sha256": None, "source": "unverified"})
        elif _LOADS.search(wiring.class_of(place.node_id)):  # others fetch theirs by themselves
            notes.append(
                f"{wiring.class_of(place.node_id)} ({place.node_id}) loads {file}: which folder of models it is in is "
                "not known; add it to requires.models"
            )
    for file in _loras_in_objects(wiring):
        path = f"loras/{file}"
        if path_problem(path) is None:
            listed.setdefault(path, {"path": path, "url": None, "sha256": None, "source": "unverified"})
    return list(listed.values()), notes


def _loras_in_objects(wiring: Wiring) -> Iterator[str]:
    """The files of loaders that have many LoRAs as objects, one an input; those that are off may be missing."""
    for node_id in wiring.graph:
        for value in wiring.inputs(node_id).values() if node_id in wiring.needed else ():
            file = value.get("lora") if isinstance(value, dict) and value.get("on") is not False else None
            if isinstance(file, str) and _FILE.search(file):
                yield file.replace("\\", "/")


def model_candidates(wiring: Wiring) -> list[Candidate]:
    """Files beside a checkpoint's: parts of a set that was matched by its author, so none is offered to callers."""
    found = []
    for place, _, _ in model_places(wiring):
        name = re.sub(r"\W+", "_", base_name(place)).strip("_")
        if re.fullmatch(r"[a-z][a-z0-9_]*", name) and not re.fullmatch(r"ckpt(_name)?|checkpoint(_name)?", name):
            entry = {"type": "string", "group": MODEL}
            found.append(
                Candidate(name, (place,), 90, entry, shown=False, order=wiring.position[place.node_id], most=0)
            )
    return found
