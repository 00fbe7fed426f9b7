"""Reads `versions/ID.json` of the volume: where an environment has its ComfyUI, and how that is started."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.documents import read_json
from engine.errors import InvalidMap, Problem, SettingsError
from engine.installations import IMAGE, Image, venv_python
from engine.settings import Settings
from engine.volume import version_file
from engine.wording import did_you_mean, kind_of, listed, shown

_PATHS = ("comfyui", "python", "models_dir", "lock")
_KEYS = ("comfyui", "python", "models_dir", "args", "lock")


@dataclass(frozen=True, slots=True)
class Environment:
    """A ComfyUI with its node packs, under a name.

    Attributes:
        id: the name.
        home: the folder of its `main.py`.
        lock: the file that says what it provides; it may be missing.
        python: that runs it; None where nothing is said of it.
        models_dir: a folder of models beside ComfyUI's own; None for that of the settings.
        args: its arguments; None for those of the settings.
    """

    id: str
    home: Path
    lock: Path
    python: Path | None = None
    models_dir: Path | None = None
    args: tuple[str, ...] | None = None

    def settings(self, settings: Settings, image: Image = IMAGE) -> Settings:
        """The settings of a worker that runs it.

        Its Python is the one that its file names, else that of a venv in its folder, else COMFY_PYTHON, else the
        image's.

        Args:
            settings: of a worker, whatever that runs.
            image: where the image has its Python.
        """
        original = settings.original
        operators = None if original.source_of("comfy_python").found else original.comfy_python
        images = image.python if image.python.is_file() else None
        return original.replaced(
            f"the environment {self.id}",
            version_id=self.id,
            comfy_home=self.home,
            comfy_python=self.python or venv_python(self.home) or operators or images,
            models_dir=self.models_dir or original.models_dir,
            comfy_args=original.comfy_args if self.args is None else self.args,
        )


def read_environment(volume: Path, version_id: str) -> Environment:
    """What `versions/ID.json` says.

    ```json
    {"comfyui": "builds/comfy-ID", "python": null, "models_dir": null, "args": null, "lock": "versions/ID.lock.json"}
    ```

    These are what a key that is left out, or null, counts as. Paths begin at the volume and stay on it, or are
    absolute.

    Args:
        volume: where it is mounted.
        version_id: the name.

    Raises:
        SettingsError: it can't be read, or is not of that form; with every problem, each with its key.
    """
    file = version_file(volume, version_id)
    label = f"{file.parent.name}/{file.name}"
    try:
        document = read_json(file, label=label)
    except InvalidMap as error:
        raise SettingsError(problems=error.problems) from error
    if not isinstance(document, dict):
        raise SettingsError(problems=[Problem("", f"must be an object (got {kind_of(document)})", file=label)])
    problems = [
        Problem(key, f"unknown key{did_you_mean(key, _KEYS)}; the keys are: {listed(_KEYS)}", file=label)
        for key in document
        if key not in _KEYS
    ]
    said: dict[str, Path | None] = {}
    for key in _PATHS:
        try:
            said[key] = _path(document.get(key), volume)
        except ValueError as error:
            problems.append(Problem(key, str(error), file=label))
    args: tuple[str, ...] | None = None
    try:
        args = _args(document)
    except ValueError as error:
        problems.append(Problem("args", str(error), file=label))
    if problems:
        raise SettingsError(problems=problems)
    home = said["comfyui"] or volume / "builds" / f"comfy-{version_id}"
    inside = home / "ComfyUI"  # some name the folder that holds it and its Python environment
    if not (home / "main.py").is_file() and (inside / "main.py").is_file():
        home = inside
    lock = said["lock"] or file.with_name(f"{version_id}.lock.json")
    return Environment(version_id, home, lock, said["python"], said["models_dir"], args)


def _path(value: Any, volume: Path) -> Path | None:
    """A path of the file.

    Raises:
        ValueError: it is none, or leads out of the volume.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a path (got {shown(value)})")
    # By its words alone: the links on the volume are its operator's.
    path = Path(os.path.normpath(volume / value))
    if not Path(value).is_absolute() and not path.is_relative_to(os.path.normpath(volume)):
        raise ValueError(f"must stay on the volume, or be absolute (got {shown(value)})")
    return path


def _args(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The arguments, as a shell would split them.

    Raises:
        ValueError: they are no text, or a quote is not closed.
    """
    value = document.get("args")
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f'must be a text, such as "--lowvram" (got {kind_of(value)})')
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"{error} (got {shown(value)})") from None
