"""Where the commands look for workflows."""

from __future__ import annotations

import os
from pathlib import Path


def workflow_folders() -> tuple[Path, ...]:
    """WORKFLOWS_PATH, without the cost of all other settings: a listing is to be instant."""
    from engine import bundled_workflows, split_path

    path = os.environ.get("WORKFLOWS_PATH")
    return split_path(path) if path else (bundled_workflows(),)
