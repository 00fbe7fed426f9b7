"""Finds what nobody named: ComfyUI, and the Python that runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine import is_true
from engine.settings import Found
from engine.volume import volume_of


class Image(NamedTuple):
    """Where an image has its ComfyUI.

    Attributes:
        home: the folder of its `main.py`; that of RunPod's own image, and of ours.
        python: of the environment that it was installed into.
    """

    home: Path = Path("/comfyui")
    python: Path = Path("/opt/venv/bin/python")


IMAGE = Image()


def find(environment: Mapping[str, str], image: Image = IMAGE) -> dict[str, Found]:
    """What the start finds where the environment names nothing: COMFY_HOME and COMFY_PYTHON.

    ComfyUI is that of the volume (`ComfyUI/` there), else the image's. With COMFY_URL or COMFY_SIMULATE none is
    searched. Its Python is that of a venv in its folder, else the image's.

    Args:
        environment: the variables.
        image: where the image has its own.

    Returns:
        By the variable's name; without what is set, and what is not there.
    """
    found: dict[str, Found] = {}
    volume = volume_of(environment)
    home = environment.get("COMFY_HOME")
    if environment.get("COMFY_URL") or (is_true(environment.get("COMFY_SIMULATE")) and not home):
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


def homes(volume: Path, image: Image = IMAGE) -> Iterator[tuple[Path, str]]:
    """Where a ComfyUI is looked for, and what is said of one that is found there."""
    yield volume / "ComfyUI", "ComfyUI on the volume"
    yield image.home, "the image's ComfyUI"


def _python(home: Path, image: Image) -> dict[str, Found]:
    # A venv whose Python is gone, as one that came with a volume from another image, counts as none.
    inside = home / "ComfyUI"
    folders = [home] if (home / "main.py").is_file() else [inside, home]  # COMFY_HOME may be the folder above
    for folder in folders:
        for name in (".venv", "venv"):
            if (python := folder / name / "bin" / "python").is_file():
                return {"COMFY_PYTHON": Found(str(python), "the venv in ComfyUI's folder")}
    return {"COMFY_PYTHON": Found(str(image.python), "the image's")} if image.python.is_file() else {}
