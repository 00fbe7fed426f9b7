"""The network volume: what outlives the worker is kept on it, and it may be mounted late.

RunPod mounts a network volume at `/runpod-volume`, sometimes only after the container has begun. A worker that reads
its settings before would find no ComfyUI there, or make its folders below the place where the volume comes to lie.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import split_path
from engine.errors import Problem, SettingsError

log = logging.getLogger(__name__)

DEFAULT_PATH, DEFAULT_SECONDS = "/runpod-volume", 60.0

_MUST_EXIST = ("COMFY_HOME", "COMFY_FOLDER", "COMFY_PYTHON", "WORKFLOWS_PATH")
_MADE_BY_US = ("SPOOL_PATH", "LOG_PATH", "JOURNAL_PATH", "COMFY_LOG")
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that must be there before the worker starts.

    Attributes:
        variable: that names it, or something below it.
        path: that must exist.
    """

    variable: str
    path: Path


def awaited_paths(environment: Mapping[str, str]) -> list[Awaited]:
    """What an environment names on the volume: what must exist, or for what we make ourselves the volume itself.

    Args:
        environment: the variables; an empty one counts as not set.
    """
    return list(_awaited(environment))


def wait_for_volume(environment: Mapping[str, str]) -> None:
    """Wait until everything that the environment names on the volume is there; at once where it names nothing there.

    Args:
        environment: the variables; VOLUME_PATH and VOLUME_WAIT_SECONDS are among them.

    Raises:
        SettingsError: something is still missing after VOLUME_WAIT_SECONDS; with the variable and the path of each.
    """
    awaited = awaited_paths(environment)
    missing = _missing(awaited)
    if not missing:
        return
    seconds = _seconds(environment)
    log.warning("waiting up to %g s for %s", seconds, ", ".join(f"{each.variable} ({each.path})" for each in missing))
    start = time.monotonic()
    while missing:
        if time.monotonic() - start >= seconds:
            raise _absent(missing, _volume(environment), seconds)
        time.sleep(_LOOK_SECONDS)
        missing = _missing(awaited)
    log.warning("the volume is there after %.1f s", time.monotonic() - start)


def _awaited(environment: Mapping[str, str]) -> Iterator[Awaited]:
    volume = _volume(environment)
    for variable in _MUST_EXIST:
        text = environment.get(variable) or ""
        for path in split_path(text) if variable == "WORKFLOWS_PATH" else [Path(text)] if text else []:
            if _below(path, volume):
                yield Awaited(variable, path)
    for variable in _MADE_BY_US:
        if (made := environment.get(variable)) and _below(Path(made), volume):
            yield Awaited(variable, volume)


def _volume(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("VOLUME_PATH") or DEFAULT_PATH)


def _seconds(environment: Mapping[str, str]) -> float:
    try:
        seconds = float(environment.get("VOLUME_WAIT_SECONDS") or DEFAULT_SECONDS)
    except ValueError:
        return DEFAULT_SECONDS  # it is refused with the other settings, which are read next
    return seconds if 0 <= seconds < math.inf else DEFAULT_SECONDS  # refused as well


def _below(path: Path, volume: Path) -> bool:
    # By its text, dots resolved: what is not there yet can't be asked for where its links lead.
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(volume))  # noqa: PTH100 - resolve() follows links


def _missing(awaited: list[Awaited]) -> list[Awaited]:
    return [each for each in awaited if not _exists(each.path)]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a mount that is about to come or go answers with errors of all kinds
        return False


def _absent(missing: list[Awaited], volume: Path, seconds: float) -> SettingsError:
    mounted = _exists(volume)
    return SettingsError(
        problems=[Problem(each.variable, f"{each.path} is not there after {seconds:g} s") for each in missing],
        hint=f"correct the path: the volume at {volume} is there, but has no such file or folder"
        if mounted
        else f"attach a network volume to the endpoint (it is to be mounted at {volume}), or name a path elsewhere; "
        "VOLUME_WAIT_SECONDS allows a longer wait",
    )


def lasting_folder(name: str, volume: Path) -> Path:
    """Where something is kept that is to outlive the process: on the volume, where there is one, else the user's cache.

    Without a home it is a folder of the user's own among the temporary ones.

    Args:
        name: of what is kept.
        volume: where the volume is mounted.
    """
    inside = Path("comfyui-workflow-engine") / name
    if volume.is_dir() and os.access(volume, os.W_OK):
        return volume / inside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    above = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), Path("/"))
    if cache.is_absolute() and os.access(above, os.W_OK):
        return cache / inside
    return Path(tempfile.gettempdir()) / f"comfyui-workflow-engine-{os.geteuid()}" / name
