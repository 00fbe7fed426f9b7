"""What the start makes of a new volume."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from engine.logs import event
from engine.model_folders import KINDS
from engine.models.hub_caches import link_repositories, own_cache, runpod_cache
from engine.settings import Settings

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """What was done there.

    Attributes:
        made: how many folders were made.
        linked: repositories of RunPod's Hugging Face cache that ComfyUI will find.
    """

    made: int
    linked: list[str]


def prepare(settings: Settings) -> Prepared:
    """Make a new volume's folders, and link what RunPod has cached."""
    made = make_folders(settings.volume_path)
    linked: list[str] = []
    if cache := runpod_cache(settings.volume_path):
        try:
            linked = link_repositories(cache, own_cache(os.environ))
        except OSError as error:
            event(log, logging.WARNING, "RunPod's Hugging Face cache can't be linked", reason=str(error))
    return Prepared(len(made), linked)


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
