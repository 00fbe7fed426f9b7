"""What the start found, on one screen: the first thing to read when a worker does not do what was expected."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, TypeAlias

from engine.catalog import Catalog
from engine.installations import release_of
from engine.machine import Space, disk, memory
from engine.model_folders import model_folders
from engine.readiness import Missing, Readiness
from engine.settings import Settings
from engine.starting.gpu import Gpus
from engine.wording import listed

_MOST_WORKFLOWS, _MOST_KINDS = 12, 8
_MOST_MISSING, _MOST_USERS = 6, 3
_MOST_UNREADY = 6
MOST_LOADED = 100
"""Of more workflows the screen says nothing of what they lack: loading them takes long."""
_WIDTH = 11

_Lacking: TypeAlias = Mapping[str, Sequence[Missing] | None]
"""Workflow to what it lacks; None for one that is broken."""


class Facts(NamedTuple):
    """What the start knows.

    Attributes:
        mode: what the process is to do, and what that follows from.
        settings: as read.
        gpus: None where the driver was not asked.
        made: folders that were made on the volume.
        linked: repositories of RunPod's Hugging Face cache that ComfyUI will find.
        models_linked: model files that were linked from that cache.
        environments: that a request may name.
        unverified: those of them that are refused.
        readiness: what the workflows lack.
        fetched: the models that are being fetched.
    """

    mode: str
    settings: Settings
    gpus: Gpus | None = None
    made: int = 0
    linked: Iterable[str] = ()
    models_linked: Iterable[str] = ()
    environments: Iterable[str] = ()
    unverified: Iterable[str] = ()
    readiness: Readiness | None = None
    fetched: Sequence[str] = ()


def screen(facts: Facts, catalog: Catalog) -> dict[str, str]:
    """What there is to say, line by line: the heading of each, and its text. Nothing secret is in it."""
    settings, about = facts.settings, library(facts, catalog)
    lines = {
        "mode": facts.mode,
        "volume": _volume(settings.volume_path, facts.made),
        "ComfyUI": _comfy(settings),
        "versions": _environments(facts),
        "models": _models(settings),
        "cache": _cache(facts),
        "GPU": _gpus(facts.gpus),
        "memory": _space(memory()),
        "disk": _space(disk(Path.cwd())),
        "workflows": about.get("workflows", ""),
        "no access": "; ".join(catalog.troubles()),
        "missing": about.get("missing", ""),
        "results": _results(settings, in_folder=facts.mode.startswith("serve ")),
    }
    return {heading: text for heading, text in lines.items() if text}


def library(facts: Facts, catalog: Catalog) -> dict[str, str]:
    """The lines about the workflows, with what they lack where the facts have a `readiness` to tell it."""
    lacking = _lacking(facts, catalog)
    lines = {"workflows": _workflows(lacking, catalog), "missing": _missing(facts, lacking)}
    return {heading: text for heading, text in lines.items() if text}


def shown(lines: Mapping[str, str], title: str = "") -> str:
    """The screen, below the engine's name or another title."""
    head = f"--- {title or f'comfyui-workflow-engine {_version()}'} ---"
    return "\n".join([head, *(f"{heading:<{_WIDTH}}{text}" for heading, text in lines.items())])


def _version() -> str:
    try:
        return version("comfyui-workflow-engine")
    except PackageNotFoundError:
        return ""


def _volume(volume: Path, made: int) -> str:
    if not volume.is_dir():
        return f"none at {volume}"
    kind = "" if volume.is_mount() else ", a folder and no mount"
    free = _space(disk(volume))
    new = f"; made models/ with {made} folders" if made else ""
    return f"{volume}, {free}{kind}{new}"


def _comfy(settings: Settings) -> str:
    if settings.comfy_url:
        return f"one that runs elsewhere, {re.sub(r'(?<=://)[^/@]*@', '…@', settings.comfy_url)}"
    if not settings.comfy_home:
        return "none: the simulator draws the pictures" if settings.comfy_simulate else "none"
    where = settings.source_of("comfy_home").found or "COMFY_HOME"
    python = f", run by {settings.comfy_python}" if settings.comfy_python else ""
    release = release_of(settings.comfy_home)
    return f"{settings.comfy_home} ({', '.join(part for part in (where, release) if part)}){python}"


def _environments(facts: Facts) -> str:
    own, unverified = facts.settings.version_id, set(facts.unverified)
    return ", ".join(
        name + (" (this worker's)" if name == own else " (not verified)" if name in unverified else "")
        for name in facts.environments
    )


def _models(settings: Settings) -> str:
    folders = model_folders(settings)
    found: dict[str, set[str]] = {}
    for folder in folders:
        for kind, files in _files(folder):
            found.setdefault(kind, set()).update(files)
    counts = sorted(((len(files), kind) for kind, files in found.items()), key=lambda each: (-each[0], each[1]))
    told = [f"{count} in {kind}" for count, kind in counts]
    more = f" and {len(told) - _MOST_KINDS} more kinds" if len(told) > _MOST_KINDS else ""
    what = f": {', '.join(told[:_MOST_KINDS])}{more}" if told else ": no files"
    lost = settings.models_dir if settings.models_dir not in (None, *folders) else None
    parts = [f"{', '.join(map(str, folders))}{what}"] if folders else []
    return "; ".join([*parts, *([f"MODELS_DIR is not there: {lost}"] if lost else [])])


def _files(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Which files and folders each kind has, at its top; a walk would take long on a network volume.

    They are named by where they lie: what is linked from one folder into another is one.
    """
    with contextlib.suppress(OSError):
        for kind in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                # ComfyUI's own folders hold files that begin so, to be seen in Git.
                named = [each for each in kind.iterdir() if not each.name.startswith((".", "put_"))]
                if files := {os.path.realpath(each) for each in named}:
                    yield kind.name, files


def _cache(facts: Facts) -> str:
    repositories, models = list(facts.linked), list(facts.models_linked)
    told = [f"RunPod's Hugging Face cache has {', '.join(repositories)}"] if repositories else []
    return "; ".join([*told, *([f"linked as {', '.join(models)}"] if models else [])])


def _gpus(gpus: Gpus | None) -> str:
    if gpus is None:
        return ""
    names = ", ".join(f"{gpu.name} ({_size(gpu.memory_bytes)})" for gpu in gpus.gpus)
    return f"{names}; the driver knows CUDA {gpus.cuda}"


def _workflows(lacking: _Lacking, catalog: Catalog) -> str:
    """Those whose models are here first, of a large library a few; of node classes nothing is known yet."""
    names = sorted(catalog.sources())
    unready = _unready(lacking)
    if len(unready) > _MOST_UNREADY:
        ready = [name for name in names if name not in unready]
        told = f"{len(ready)} of {len(names)} have their models: {listed(ready, most=_MOST_WORKFLOWS)}"
        return f"{told} ({_places(catalog)}){_lost(catalog)}"
    more = f" and {len(names) - _MOST_WORKFLOWS} more" if len(names) > _MOST_WORKFLOWS else ""
    told = ", ".join(names[:_MOST_WORKFLOWS]) + more
    return f"{told or 'none'} ({_places(catalog)}){_lost(catalog)}"


def _places(catalog: Catalog) -> str:
    """Where they are from; a folder that may come later only once it is there."""
    folders = [str(each) for each in catalog.folders if each.needed or each.label or each.path.is_dir()]
    return f"from {', '.join(folders)}"


def _lost(catalog: Catalog) -> str:
    missing = [each.source.name for each in catalog.missing()]
    return f"; WORKFLOWS names more, which are not there: {', '.join(missing[:_MOST_WORKFLOWS])}" if missing else ""


def _lacking(facts: Facts, catalog: Catalog) -> _Lacking:
    """What each workflow lacks; of very many nothing is said, since loading them takes long."""
    if facts.readiness is None or len(catalog) > MOST_LOADED:
        return {}
    return {
        each.source.name: facts.readiness.all_of(each.workflow) if each.workflow else None for each in catalog.entries()
    }


def _unready(lacking: _Lacking) -> list[str]:
    """The workflows that do not run as they come: something is missing that every payload needs, or a default names."""
    return [
        name
        for name, missing in lacking.items()
        if missing is None or any(not each.for_some or each.default_of for each in missing)
    ]


def _missing(facts: Facts, lacking: _Lacking) -> str:
    """What the workflows lack, and who needs it."""
    unready = _unready(lacking)
    if len(unready) > _MOST_UNREADY and not facts.fetched:
        whose = listed(unready, most=_MOST_USERS)
        return f"what {whose} need; `engine list` names them, WORKFLOWS=NAME,NAME offers fewer"
    needed: dict[str, list[str]] = {}
    for workflow, missing in lacking.items():
        for each in missing or ():
            when = "" if not each.for_some else " by default" if each.default_of else " at times"
            needed.setdefault(each.name, []).append(f"{workflow}{when}")
    coming = set(facts.fetched)
    told = [
        f"{name} (for {listed(users, most=_MOST_USERS)}{'; being fetched' if name in coming else ''})"
        for name, users in sorted(needed.items())
    ]
    more = f"; and {len(told) - _MOST_MISSING} more" if len(told) > _MOST_MISSING else ""
    return "; ".join(told[:_MOST_MISSING]) + more


def _results(settings: Settings, *, in_folder: bool) -> str:
    if settings.storage in (None, "s3") and settings.s3_bucket:
        return f"s3://{settings.s3_bucket}/{settings.s3_prefix}"
    if settings.storage in (None, "gcs") and settings.gcs_bucket:
        return f"gs://{settings.gcs_bucket}/{settings.gcs_prefix}"
    if settings.storage == "directory" or (in_folder and settings.storage is None):
        return f"{settings.output_folder}"
    why = f"STORAGE is {settings.storage}" if settings.storage else "no bucket is set"
    return f"in the reply, up to {_size(settings.response_limit_bytes)} ({why})"


def _space(space: Space | None) -> str:
    return f"{_size(space.free_bytes)} of {_size(space.total_bytes)} free" if space else ""


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 100_000_000 else f"{number / 1e6:.1f} MB"
