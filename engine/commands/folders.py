"""Where the commands look for workflows, and which of them are offered."""

from __future__ import annotations

import os
from pathlib import Path


def workflow_folders() -> tuple[Path, ...]:
    """WORKFLOWS_PATH, without the cost of all other settings: a listing is to be instant."""
    from engine import bundled_workflows, split_path

    path = os.environ.get("WORKFLOWS_PATH")
    return split_path(path) if path else (bundled_workflows(),)


def offered_workflows() -> tuple[str, ...]:
    """The names in WORKFLOWS, likewise; empty where all workflows are offered."""
    return tuple(name for part in os.environ.get("WORKFLOWS", "").split(",") if (name := part.strip()))


def chosen_snapshot() -> str:
    """SNAPSHOT, likewise; empty where none is chosen."""
    return os.environ.get("SNAPSHOT", "")
