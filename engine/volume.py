"""The network volume: what outlives the worker is kept on it, and it may be mounted late.

RunPod mounts a network volume at `/runpod-volume`, on a Pod at `/workspace`, sometimes only after the container has
begun. A worker that reads its settings before would find no ComfyUI there, or make its folders below the place where
the volume comes to lie.
"""

from __future__ import annotations

import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import is_true
from engine.errors import Problem, SettingsError
from engine.wording import did_you_mean, listed
from engine.workflows_path import folders_named

log = logging.getLogger(__name__)

DEFAULT_PATH, DEFAULT_SECONDS = "/runpod-volume", 60.0
POD_PATH = "/workspace"
"""Where RunPod mounts a Pod's volume, unless its template says otherwise."""

_MUST_EXIST = ("COMFY_HOME", "COMFY_FOLDER", "COMFY_PYTHON", "WORKFLOWS_PATH")
_MADE_BY_US = ("SPOOL_PATH", "LOG_PATH", "JOURNAL_PATH", "COMFY_LOG", "OUTPUT_FOLDER")
_LOOK_SECONDS = 0.1
VERSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What an environment may be called."""
_OF_LOCKS = ".lock"


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that must be there before the worker starts.

    Attributes:
        variable: that names it, or something below it.
        path: that must exist.
        mounted: whether an empty folder is not enough, since it may be the place of a mount that is still to come.
        needed: whether the worker can't start without it.
    """

    variable: str
    path: Path
    mounted: bool = False
    needed: bool = True

    @property
    def there(self) -> bool:
        """Whether it is there by now."""
        try:
            if not self.mounted:
                return self.path.exists()
            return self.path.is_mount() or (self.path.is_dir() and any(self.path.iterdir()))
        except OSError:  # a mount that is about to come or go answers with errors of all kinds
            return False


def volume_of(environment: Mapping[str, str], *, ours: Path = Path(DEFAULT_PATH), pods: Path = Path(POD_PATH)) -> Path:
    """Where the volume is mounted, or is to be.

    Args:
        environment: VOLUME_PATH says so; else it is found out.
        ours: RunPod's place for it in a serverless worker.
        pods: its place on a Pod. Other images have a folder of that name too, so it counts where there is something
            of ComfyUI's in it, or where RunPod says that this is a Pod (`RUNPOD_POD_ID`, and no endpoint).
    """
    if path := environment.get("VOLUME_PATH"):
        return Path(path)
    if ours.is_dir() or environment.get("RUNPOD_ENDPOINT_ID"):  # a serverless worker's may only be late
        return ours
    if environment.get("RUNPOD_POD_ID") or any((pods / name).is_dir() for name in ("ComfyUI", "models")):
        return pods
    return ours


def awaited_paths(environment: Mapping[str, str]) -> list[Awaited]:
    """What an environment names on the volume: what must exist, or for what we make ourselves the volume itself.

    Args:
        environment: the variables; an empty one counts as not set.
    """
    return list(_awaited(environment))


def wait_for_volume(environment: Mapping[str, str]) -> None:
    """Wait until everything that the environment names on the volume is there; at once where it names nothing there.

    The volume itself is waited for as well where VOLUME_REQUIRED is set, or where RunPod says that there is one
    (`RUNPOD_VOLUME_ID`); of the latter it may be mounted elsewhere, so it does not keep the worker from starting.

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
            if needed := [each for each in missing if each.needed and not (each.mounted and each.path.is_dir())]:
                raise _absent(needed, volume_of(environment), seconds)
            log.warning("no volume is at %s after %g s; the worker starts without", volume_of(environment), seconds)
            return
        time.sleep(_LOOK_SECONDS)
        missing = _missing(awaited)
    log.warning("the volume is there after %.1f s", time.monotonic() - start)


def _awaited(environment: Mapping[str, str]) -> Iterator[Awaited]:
    volume = volume_of(environment)
    for variable in _MUST_EXIST:
        text = environment.get(variable) or ""
        for path in folders_named(text) if variable == "WORKFLOWS_PATH" else [Path(text)] if text else []:
            if _below(path, volume):
                yield Awaited(variable, path)
    version_id = environment.get("VERSION_ID") or ""
    if VERSION_ID.fullmatch(version_id):
        yield Awaited("VERSION_ID", version_file(volume, version_id))
    for variable in _MADE_BY_US:
        if (made := environment.get(variable)) and _below(Path(made), volume):
            yield Awaited(variable, volume)
    # A folder of models on a volume that is not mounted would be an empty one.
    if (models := environment.get("MODELS_DIR")) and _below(Path(models), volume):
        yield Awaited("MODELS_DIR", volume, mounted=True)
    if is_true(environment.get("VOLUME_REQUIRED")):
        yield Awaited("VOLUME_REQUIRED", volume, mounted=True)
    elif environment.get("RUNPOD_VOLUME_ID"):
        yield Awaited("RUNPOD_VOLUME_ID", volume, mounted=True, needed=False)


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
    return [each for each in awaited if not each.there]


def _absent(missing: list[Awaited], volume: Path, seconds: float) -> SettingsError:
    mounted = Awaited("VOLUME_PATH", volume).there
    return SettingsError(
        problems=[
            Problem(each.variable, f"{each.path} is not there after {seconds:g} s{_names(each, volume)}")
            for each in missing
        ],
        hint=f"correct the path: the volume at {volume} is there, but has no such file or folder"
        if mounted
        else f"attach a network volume to the endpoint (it is to be mounted at {volume}), or name a path elsewhere; "
        "VOLUME_WAIT_SECONDS allows a longer wait",
    )


def _names(missing: Awaited, volume: Path) -> str:
    """The environments there are, where one is missing that was named."""
    names = version_ids(volume) if missing.variable == "VERSION_ID" else []
    if not names:
        return ""
    return f"{did_you_mean(missing.path.stem, names)}; the environments there are: {listed(names)}"


def version_file(volume: Path, version_id: str) -> Path:
    """The file that describes an environment."""
    return volume / "versions" / f"{version_id}.json"


def version_ids(volume: Path) -> list[str]:
    """The names of the environments on a volume, sorted; whether they are right is not looked at."""
    stems = (path.name.removesuffix(".json") for path in version_file(volume, "x").parent.glob("*.json"))
    return sorted(stem for stem in stems if VERSION_ID.fullmatch(stem) and not stem.endswith(_OF_LOCKS))


def volume_workflows(volume: Path) -> Path:
    """The folder of workflows on a volume that is looked at where WORKFLOWS_PATH names none."""
    return volume / "workflows"


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
