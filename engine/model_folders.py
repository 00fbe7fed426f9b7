"""Where model files lie: the folders that hold a folder for each kind of model, as ComfyUI's `models/` does.

ComfyUI names a model file by its kind and its path below that kind's folder (`checkpoints/sd15.safetensors`), and looks
in every folder that is registered for the kind (ComfyUI 0.8.0, folder_paths.py). We know these: ComfyUI's own, the
one the operator names, and those of the volume.
"""

from __future__ import annotations

import ast
import functools
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from engine.command_options import last_value
from engine.settings import Settings

OLD_NAMES = {"unet": "diffusion_models", "clip": "text_encoders", "t2i_adapter": "controlnet"}
"""Folders that ComfyUI still reads as others: the first two are legacy names, the third is a second folder."""

KINDS = (
    "audio_encoders",
    "checkpoints",
    "classifiers",
    "clip_vision",
    "configs",
    "controlnet",
    "diffusers",
    "diffusion_models",
    "embeddings",
    "gligen",
    "hypernetworks",
    "latent_upscale_models",
    "loras",
    "model_patches",
    "photomaker",
    "style_models",
    "text_encoders",
    "upscale_models",
    "vae",
    "vae_approx",
)
"""The kinds that ComfyUI 0.8.0 knows by itself; node packs add their own."""

NOT_MODELS = frozenset({"custom_nodes", "datasets"})
"""Folders that ComfyUI knows and that hold no models: packs from a volume would be run."""

_TABLE = "folder_names_and_paths"


def model_folders(settings: Settings) -> list[Path]:
    """The folders that are there, each like ComfyUI's `models/`; a file is looked for in this order.

    Args:
        settings: COMFY_HOME's own comes first, then MODELS_DIR, `models/` on the volume, and last the `models/` of a
            ComfyUI on the volume, which need not be the one that runs.
    """
    return [folder for folder in dict.fromkeys(_candidates(settings)) if folder.is_dir()]


def folder_for_new(settings: Settings) -> Path | None:
    """Where files that are fetched go; it may have yet to be made. None where there is no place.

    Args:
        settings: MODELS_DIR, else `models/` on the volume, where one is mounted, else COMFY_HOME's own.
    """
    if settings.models_dir:
        return settings.models_dir
    if settings.volume_path.is_dir():
        return settings.volume_path / "models"
    return own_models(settings)


def folders_to_tell(settings: Settings) -> list[Path]:
    """The folders that ComfyUI is to be told of, its own left out: those that are there, and the one for new files.

    It sees a folder that turns up later, if it was told of it.
    """
    new = folder_for_new(settings)
    folders = [*model_folders(settings), *([new] if new else [])]
    return [folder for folder in dict.fromkeys(folders) if folder != own_models(settings)]


def own_models(settings: Settings) -> Path | None:
    """The `models/` of the ComfyUI that is started; None where none is (ComfyUI 0.8.0, folder_paths.py)."""
    if not settings.comfy_home:
        return None
    return settings.comfy_home / (last_value(settings.comfy_args, "--base-directory") or ".") / "models"


def kind_of(folder: str) -> str:
    """The kind of model that a folder of that name holds (`unet` holds `diffusion_models`)."""
    return OLD_NAMES.get(folder, folder)


_PARSING = threading.Lock()
"""CPython counts how deep a parse is for all threads together: of two at once, one can fail with a SystemError about a
"recursion depth mismatch" (seen with 3.11.7; like https://github.com/python/cpython/issues/106905)."""


def kinds_of(home: Path) -> set[str]:
    """The kinds of models that a ComfyUI knows, read in its own source; of one that can't be read, ours.

    Args:
        home: the folder of its `main.py`.
    """
    try:
        with _PARSING:
            return set(_kinds_in((home / "folder_paths.py").read_text(encoding="utf-8")) or KINDS)
    except (OSError, ValueError, SyntaxError):
        return set(KINDS)


@functools.lru_cache(maxsize=8)
def _kinds_in(source: str) -> frozenset[str]:
    """The kinds in ComfyUI's source; parsed once, since a listing asks for each model that is missing."""
    found = {
        target.slice.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Name)
        and target.value.id == _TABLE
        and isinstance(target.slice, ast.Constant)
        and isinstance(target.slice.value, str)
    }
    return frozenset(found - NOT_MODELS)


def is_for_packs(folder: str, known: Collection[str]) -> bool:
    """Whether a folder of models is one that ComfyUI has no use for, so that a node pack's code looks into it.

    Args:
        folder: its name: `insightface`.
        known: the kinds that this ComfyUI knows.
    """
    return kind_of(folder) not in known and folder not in NOT_MODELS and not folder.startswith(".")


def is_same(path: str, other: str) -> bool:
    """Whether two paths as ComfyUI sees them name one file: `unet/a.safetensors`, `diffusion_models/a.safetensors`."""
    (kind, _, rest), (other_kind, _, other_rest) = path.partition("/"), other.partition("/")
    return (kind_of(kind), rest) == (kind_of(other_kind), other_rest)


def places_of(path: str, folders: list[Path]) -> Iterator[Path]:
    """Where a model file may lie, the likeliest place first; nothing is asked of the disk.

    Args:
        path: as ComfyUI sees it, kind first: `checkpoints/sd15.safetensors`.
        folders: each like ComfyUI's `models/`.
    """
    kind, _, rest = path.partition("/")
    names = [kind, *(name for name in (kind_of(kind), *OLD_NAMES) if name != kind and kind_of(name) == kind_of(kind))]
    for folder in folders:
        for name in dict.fromkeys(names):
            yield folder / name / rest


def _candidates(settings: Settings) -> Iterator[Path]:
    if own := own_models(settings):
        yield own
    if settings.models_dir:
        yield settings.models_dir
    yield settings.volume_path / "models"
    yield settings.volume_path / "ComfyUI" / "models"
