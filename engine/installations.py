"""How a ComfyUI is installed: which Python runs it, which version it is; and where an image has its own."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import NamedTuple


class Image(NamedTuple):
    """Where an image has its ComfyUI.

    Attributes:
        home: the folder of its `main.py`; that of RunPod's own image, and of ours.
        python: of the environment that it was installed into.
    """

    home: Path = Path("/comfyui")
    python: Path = Path("/opt/venv/bin/python")


IMAGE = Image()


def venv_python(home: Path) -> Path | None:
    """The Python of a venv in ComfyUI's folder.

    Args:
        home: the folder of its `main.py`, or the one above it, `ComfyUI/` being in it.

    Returns:
        None where there is none; a venv whose Python is gone, as one that came with a volume from another image, counts
        as none.
    """
    folders = [home] if (home / "main.py").is_file() else [home / "ComfyUI", home]
    pythons = (Path("bin/python"), Path("Scripts/python.exe"))  # the second on Windows
    places = (folder / name / python for folder in folders for name in (".venv", "venv") for python in pythons)
    return next((place for place in places if place.is_file()), None)


def release_of(home: Path) -> str | None:
    """The version that a ComfyUI says it is (`comfyui_version.py`, since 0.3.10); None where it does not."""
    with contextlib.suppress(OSError, ValueError):
        said = re.search(r'__version__ = "([^"]+)"', (home / "comfyui_version.py").read_text(encoding="utf-8"))
        return said[1] if said else None
    return None
