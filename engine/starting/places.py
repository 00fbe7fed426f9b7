"""Finds what nobody named: ComfyUI, and the Python that runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine import bundled_workflows, is_true
from engine.installations import IMAGE, Image, venv_python
from engine.settings import Found
from engine.volume import volume_of, volume_workflows


def find(environment: Mapping[str, str], image: Image = IMAGE) -> dict[str, Found]:
    """What the start finds where the environment names nothing: COMFY_HOME and COMFY_PYTHON.

    ComfyUI is that of the volume (`ComfyUI/` there), else the image's. With COMFY_URL or COMFY_SIMULATE none is
    searched, and none with VERSION_ID, which names one. Its Python is that of a venv in its folder, else the image's.

    Args:
        environment: the variables.
        image: where the image has its own.

    Returns:
        By the variable's name; without what is set, and what is not there.
    """
    found: dict[str, Found] = {}
    volume = volume_of(environment)
    home = environment.get("COMFY_HOME")
    named = environment.get("COMFY_URL") or environment.get("VERSION_ID")
    if named or (is_true(environment.get("COMFY_SIMULATE")) and not home):
        return found
    if not home:
        for folder, where in homes(volume, image):
            if (folder / "main.py").is_file():
                found["COMFY_HOME"] = Found(str(folder), where)
                home = str(folder)
                break
    if home and not environment.get("COMFY_PYTHON"):
        found |= _python(Path(home), image)
    return found


def find_workflows(environment: Mapping[str, str]) -> dict[str, Found]:
    """WORKFLOWS_PATH where the environment names none and there is a volume: the engine's own, then the volume's.

    The volume's are in `workflows/` there. They count whether the folder is there by now or comes later.

    Args:
        environment: the variables.
    """
    volume = volume_of(environment)
    if environment.get("WORKFLOWS_PATH") or not volume.is_dir():
        return {}
    both = os.pathsep.join(map(str, (bundled_workflows(), volume_workflows(volume))))
    return {"WORKFLOWS_PATH": Found(both, "the engine's own, then those of the volume")}


def find_all(environment: Mapping[str, str]) -> dict[str, Found]:
    """What `find` and `find_workflows` find."""
    return find(environment) | find_workflows(environment)


def homes(volume: Path, image: Image = IMAGE) -> Iterator[tuple[Path, str]]:
    """Where a ComfyUI is looked for, and what is said of one that is found there."""
    yield volume / "ComfyUI", "ComfyUI on the volume"
    yield image.home, "the image's ComfyUI"


def _python(home: Path, image: Image) -> dict[str, Found]:
    if python := venv_python(home):
        return {"COMFY_PYTHON": Found(str(python), "the venv in ComfyUI's folder")}
    return {"COMFY_PYTHON": Found(str(image.python), "the image's")} if image.python.is_file() else {}
