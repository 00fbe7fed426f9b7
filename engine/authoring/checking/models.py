"""Model files: what the graph loads against what the map says it requires."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.authoring.checking.codes import code
from engine.authoring.checking.paths import is_absolute
from engine.authoring.checking.subject import Subject
from engine.authoring.discovery.models import model_folder
from engine.authoring.finding import Finding
from engine.bindings import Place
from engine.documents import texts_in
from engine.graph import label_of
from engine.model_entries import UNVERIFIED, unsourced
from engine.wording import listed, shown

UNLISTED_MODEL = code(
    "unlisted_model",
    "warning",
    "The graph loads a model file that `requires.models` does not list. A note where the loader is of a class that "
    "the node catalogue does not know: such loaders often fetch their files themselves.",
    "add it to requires.models",
)
UNUSED_MODEL = code(
    "unused_model",
    "note",
    "`requires.models` lists a file that neither the graph nor the map names.",
    "drop it, unless a node loads it by another name",
)
UNSOURCED_MODEL = code(
    "unsourced_model",
    "warning",
    "`requires.models` states a url, hash or size, and not where that is known from: `source` is missing or says "
    "`unverified`.",
    "name in `source` the page that says so; where there is none, leave them null",
)

_MODEL_FILE = re.compile(r"[^\n]{1,250}\.(safetensors|sft|ckpt|pth?|gguf|onnx)", re.IGNORECASE)
_LOADER_INPUT = re.compile(r"(^|_)(name|model|file)\d*$")

_SHORTEST_STEM = 5


def model_findings(subject: Subject) -> Iterator[Finding]:
    """Files that are loaded and not listed, and the reverse."""
    if subject.parameter_map is None or not subject.graph:
        return
    listed_paths = [model.path.replace("\\", "/") for model in subject.parameter_map.requires.models]
    told: set[str] = set()
    for node_id, name, _ in subject.literals():
        value = subject.default_at(node_id, name)
        if node_id not in subject.queued or not _is_model(subject, node_id, name, value) or is_absolute(value):
            continue  # of a path of one machine the check of paths tells
        plain = value.replace("\\", "/")
        if plain in told or any(path == plain or path.endswith(f"/{plain}") for path in listed_paths):
            continue
        told.add(plain)
        class_type = subject.graph[node_id]["class_type"]
        folder = model_folder(class_type, Place(node_id, name)) or "FOLDER"
        entry = f'{{"path": "{folder}/{plain}", "url": null}}'
        yield UNLISTED_MODEL.at(
            *subject.default_place(node_id, name),
            f"{label_of(subject.graph, node_id)} loads {shown(plain)}, which requires.models does not list",
            remedy=f"add to requires.models: {entry}",
            severity=None if class_type in subject.nodes else "note",
        )
    yield from _unused(subject, listed_paths)
    yield from _unsourced(subject)


def _is_model(subject: Subject, node_id: str, name: str, value: Any) -> bool:
    if not isinstance(value, str) or not _MODEL_FILE.fullmatch(value):
        return False
    spec = subject.spec(node_id, name)
    if subject.graph[node_id]["class_type"] in subject.nodes:
        return spec is not None and spec.from_files and not spec.uploads
    return bool(_LOADER_INPUT.search(name))


def _unused(subject: Subject, listed_paths: list[str]) -> Iterator[Finding]:
    named = {text.replace("\\", "/") for text in texts_in([subject.graph, _without_requires(subject)])}
    together = "\n".join(named)
    for index, path in enumerate(listed_paths):
        name = path.rpartition("/")[2]
        # An expression may put the name together: a stem that is no common word is looked for in every text.
        stem = name.rpartition(".")[0]
        if name not in together and (len(stem) < _SHORTEST_STEM or stem not in together):
            message = f"nothing in the graph or the map names {shown(name)}"
            yield UNUSED_MODEL.at(subject.map, f"requires.models[{index}]", message)


def _unsourced(subject: Subject) -> Iterator[Finding]:
    models = subject.parameter_map.requires.models if subject.parameter_map else ()
    for index, model in enumerate(models):
        if facts := unsourced(model):
            why = f"`source` says {UNVERIFIED}" if model.source else "no `source` says where that is known from"
            message = f"{shown(model.path)} states {listed(facts)}, and {why}"
            yield UNSOURCED_MODEL.at(subject.map, f"requires.models[{index}]", message)


def _without_requires(subject: Subject) -> dict[str, Any]:
    return {key: value for key, value in subject.document.items() if key != "requires"}
