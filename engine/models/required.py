"""The model files that workflows require, each once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.model_folders import kind_of

if TYPE_CHECKING:
    from engine.map_parts import ModelFile
    from engine.workflow import Workflow

MOST_UNNAMED = 5
"""Of more workflows than that models are fetched only where somebody named them: together they fill any disk."""


@dataclass(frozen=True, slots=True)
class RequiredModel:
    """A model file, with what the maps of all workflows that need it say of it.

    Attributes:
        path: as ComfyUI sees it: `checkpoints/sd15.safetensors`.
        url: where it is downloaded from.
        sha256: of its bytes, in small letters.
        size_bytes: how long it is.
        source: where that is known from.
        workflows: by name, that need it.
        conflict: in what the maps contradict each other; empty where they don't.
    """

    path: str
    url: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    source: str | None = None
    workflows: tuple[str, ...] = ()
    conflict: str = ""


def required_models(workflows: Iterable[Workflow]) -> list[RequiredModel]:
    """What some workflows need, by path; what one map leaves open another may fill in.

    `unet/flux.safetensors` and `diffusion_models/flux.safetensors` are one file, by the name that came first.
    """
    found: dict[str, RequiredModel] = {}
    for workflow in workflows:
        for model in workflow.requires.models:
            kind, _, rest = model.path.partition("/")
            key = f"{kind_of(kind)}/{rest}"
            known = found.get(key) or RequiredModel(model.path)
            found[key] = _together(known, model, workflow.name)
    return sorted(found.values(), key=lambda each: each.path)


def _together(known: RequiredModel, model: ModelFile, workflow: str) -> RequiredModel:
    conflict = known.conflict
    for key in ("sha256", "size_bytes"):
        before, now = getattr(known, key), getattr(model, key)
        if not conflict and before is not None and now is not None and before != now:
            conflict = f"{known.workflows[0]} says the {key} {before}, {workflow} says {now}"
    # Two URLs may lead to one file, which is then known by its hash.
    hashed = known.sha256 or model.sha256
    if not conflict and not hashed and known.url and model.url and known.url != model.url:
        conflict = f"{known.workflows[0]} and {workflow} name different urls for it, and no sha256"
    return replace(
        known,
        url=known.url or model.url,
        sha256=known.sha256 or model.sha256,
        size_bytes=known.size_bytes or model.size_bytes,
        source=known.source or model.source,
        workflows=tuple(dict.fromkeys((*known.workflows, workflow))),
        conflict=conflict,
    )
