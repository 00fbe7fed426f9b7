"""Where the commands look for workflows, and which of them are offered."""

from __future__ import annotations

import os
from pathlib import Path

from engine import bundled_workflows, in_capitals, split_path
from engine.errors import Problem, SettingsError
from engine.wording import shown


def workflow_folders() -> tuple[Path, ...]:
    """WORKFLOWS_PATH, without the cost of all other settings: a listing is to be instant."""
    path = in_capitals(os.environ).get("WORKFLOWS_PATH")
    return split_path(path) if path else (bundled_workflows(),)


def offered_workflows() -> tuple[str, ...]:
    """The names in WORKFLOWS, likewise; empty where all workflows are offered.

    Raises:
        SettingsError: it is set, and names none.
    """
    text = in_capitals(os.environ).get("WORKFLOWS", "")
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if text and not names:
        raise SettingsError(problems=[Problem("WORKFLOWS", f"names no workflow (got {shown(text)})")])
    return names


def chosen_snapshot() -> str:
    """SNAPSHOT, likewise; empty where none is chosen."""
    return in_capitals(os.environ).get("SNAPSHOT", "")
