"""What the start makes of a new volume."""

from __future__ import annotations

from pathlib import Path

from engine.model_folders import KINDS


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
