"""What the start makes on disk: a new volume's folders, and links to what RunPod has cached of Hugging Face."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.model_folders import KINDS

_CACHE = Path("huggingface-cache") / "hub"


def make_folders(volume: Path) -> list[Path]:
    """Make a folder for each kind of model on a volume that has nothing of the kind yet.

    Args:
        volume: where it is mounted; one that has `models/` or a ComfyUI, or can't be written to, is left as it is.

    Returns:
        What was made.
    """
    if not volume.is_dir() or (volume / "models").exists() or (volume / "ComfyUI").exists():
        return []
    made = []
    try:
        for kind in KINDS:
            folder = volume / "models" / kind
            folder.mkdir(parents=True, exist_ok=True)
            made.append(folder)
    except OSError:  # read-only, or full: the worker runs without
        return made
    return made


def platform_cache(volume: Path) -> Path | None:
    """The cache that RunPod fills before a worker starts ("cached models"), in the layout of Hugging Face's hub."""
    cache = volume / _CACHE
    return cache if cache.is_dir() else None


def own_cache(environment: Mapping[str, str]) -> Path:
    """Where Hugging Face's library looks in this process and in ComfyUI (huggingface_hub 1.0, constants.py)."""
    if path := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(path)
    if home := environment.get("HF_HOME"):
        return Path(home) / "hub"
    cache = environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "huggingface" / "hub"


def link_repositories(cache: Path, own: Path) -> list[str]:
    """Have what is in RunPod's cache found in the own one, which stays the place for what is fetched later.

    Args:
        cache: RunPod's.
        own: made where it is missing. What it has already stays.

    Returns:
        The names of the repositories that are linked, as `org/name`.

    Raises:
        OSError: the own one can't be written to.
    """
    linked = []
    if cache.resolve() == own.resolve():
        return []
    own.mkdir(parents=True, exist_ok=True)
    for repository in sorted(cache.glob("models--*")):
        place = own / repository.name
        if place.is_symlink() and not place.exists():
            place.unlink()  # of a volume that was there before
        if not os.path.lexists(place):
            place.symlink_to(repository, target_is_directory=True)
        if place.resolve() == repository.resolve():
            linked.append(repository.name.removeprefix("models--").replace("--", "/"))
    return linked
