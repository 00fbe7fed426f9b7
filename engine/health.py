"""Whether this worker can run jobs, for whoever asks: nothing of its paths, addresses and logs."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import ComfyUnavailable, EngineError
from engine.jobs import Runner
from engine.machine import Space, disk, memory
from engine.models.required import MOST_UNNAMED
from engine.storage import spool_folder

_PATIENCE_SECONDS = 3.0
_LITTLE_DISK_BYTES = 1 << 30
_LISTED_WORKFLOWS = 100
_LONGEST_MESSAGE = 500

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\"'`<>]*")
_PATH = re.compile(r"(?<![\w./])/[\w.@+-]+(?:/[\w.@+-]*)+")


def health(runner: Runner, *, patience_seconds: float = _PATIENCE_SECONDS) -> dict[str, Any]:
    """How this worker is; never starts a ComfyUI.

    Args:
        runner: the worker's.
        patience_seconds: how long to wait for ComfyUI's answer.

    Returns:
        `status` first: `unavailable` where ComfyUI does not answer; `starting` where none runs yet; `degraded` where
        it answers, but a workflow is broken or not ready, a model could not be fetched, a disk is nearly full, or the
        machine had better be replaced; else `ok`.
    """
    probe = _Probe(runner) if runner.started else None
    workflows = _workflows(runner)
    fetch = _fetch(runner)
    disks = _disks(runner)
    room = memory()
    reply: dict[str, Any] = {
        "status": "ok",
        "engine": importlib.metadata.version("comfyui-workflow-engine"),
        "python": platform.python_version(),
        "environment": runner.environment,
        "comfyui": {"running": False},
        "devices": [],
        "workflows": workflows,
        "models_fetch": fetch,
        "disk": {name: space._asdict() for name, space in disks.items()},
        "memory": room._asdict() if room else None,
        "jobs": runner.tally.jobs() | {"at_once": runner.intake.jobs},
        "last_failure": _last_failure(runner),
        "worn_out": None,
        "uptime_seconds": round(runner.tally.uptime_seconds, 1),
    }
    if probe is None:
        return {**reply, "status": "starting"}
    try:
        stats, worn_out = probe.result(patience_seconds)
    except EngineError as error:
        return {**reply, "status": "unavailable", "comfyui": {"running": False, "error": _discreet(error.message)}}
    reply |= {"comfyui": _comfyui(stats), "devices": _devices(stats), "worn_out": worn_out and _discreet(worn_out)}
    little = any(space.free_bytes < _LITTLE_DISK_BYTES for space in disks.values())
    # Of a library that nobody chose from, most lack their models: that is no trouble while others are ready.
    chosen = runner.settings.workflows or len(runner.catalog) <= MOST_UNNAMED
    lacking = workflows["not_ready"] and (chosen or not workflows["ready"])
    if worn_out or workflows["broken"] or lacking or (fetch and fetch["failed"]) or little:
        reply["status"] = "degraded"
    return reply


class _Probe:
    """Asks ComfyUI in a thread of its own: one that hangs is given up, and the thread ends with its connection."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._found: tuple[dict[str, Any], str | None] | None = None
        self._error: EngineError | None = None
        self._thread = threading.Thread(target=self._ask, name="health", daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> tuple[dict[str, Any], str | None]:
        """What `/system_stats` says, and why the machine had better be replaced.

        Raises:
            ComfyUnavailable: it does not answer, or not in time.
        """
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise ComfyUnavailable(f"ComfyUI did not answer within {seconds:g} s")
        return self._found

    def _ask(self) -> None:
        try:
            self._found = (self._runner.system_stats(), self._runner.worn_out)
        except EngineError as error:
            self._error = error


def _comfyui(stats: Mapping[str, Any]) -> dict[str, Any]:
    system = stats.get("system")
    system = system if isinstance(system, Mapping) else {}
    return {
        "running": True,
        "version": _word(system.get("comfyui_version")),
        # The first word: what follows is the compiler and its build.
        "python": _word(system.get("python_version")),
        "pytorch": _word(system.get("pytorch_version")),
    }


def _word(value: Any) -> str | None:
    words = str(value).split() if value is not None else []
    return words[0][:_LONGEST_MESSAGE] if words else None


def _devices(stats: Mapping[str, Any]) -> list[dict[str, Any]]:
    devices = stats.get("devices")
    return [
        {
            "name": str(device.get("name"))[:_LONGEST_MESSAGE],
            "type": str(device.get("type"))[:_LONGEST_MESSAGE],
            "vram_total_bytes": device.get("vram_total"),
            "vram_free_bytes": device.get("vram_free"),
        }
        for device in (devices if isinstance(devices, list) else [])
        if isinstance(device, Mapping)
    ]


def _workflows(runner: Runner) -> dict[str, Any]:
    entries = list(runner.catalog.entries())
    problems = [
        {"name": entry.source.name, "message": _discreet(entry.error.message)} for entry in entries if entry.error
    ]
    not_ready = 0
    missing: dict[tuple[str, str], list[str]] = {}
    for workflow in (entry.workflow for entry in entries if entry.workflow):
        lacking = runner.readiness.of(workflow)
        not_ready += bool(lacking)
        for each in lacking:
            missing.setdefault((each.kind, each.name), []).append(workflow.name)
    told = [{"kind": kind, "name": name, "workflows": names} for (kind, name), names in sorted(missing.items())]
    return {
        "ready": len(entries) - len(problems) - not_ready,
        "not_ready": not_ready,
        "broken": len(problems),
        "problems": problems[:_LISTED_WORKFLOWS],
        "missing": [each | {"workflows": each["workflows"][:_LISTED_WORKFLOWS]} for each in told[:_LISTED_WORKFLOWS]],
    }


def _fetch(runner: Runner) -> dict[str, Any] | None:
    """How the fetch of models stands that the start began; None where there was none."""
    told = runner.coming.told()
    if told is None:
        return None
    failed = [
        each | {"message": _discreet(each["message"])}
        for each in told["failed"]
        if not each["name"] or runner.readiness.lacks(each["name"])  # somebody may have put it there since
    ]
    return told | {"failed": failed[:_LISTED_WORKFLOWS]}


def _disks(runner: Runner) -> dict[str, Space]:
    settings = runner.settings
    folders = {
        "temporary": Path(tempfile.gettempdir()),
        "output": settings.output_folder,
        "spool": spool_folder(settings),
    }
    found = {name: disk(folder) for name, folder in folders.items() if isinstance(folder, Path)}
    return {name: space for name, space in found.items() if space is not None}


def _last_failure(runner: Runner) -> dict[str, Any] | None:
    last = runner.tally.last_error
    if last is None:
        return None
    return {
        "code": last.code,
        "message": _discreet(last.message),
        "job_id": last.job_id,
        "when": f"{last.when:%Y-%m-%dT%H:%M:%SZ}",
    }


def _discreet(message: str) -> str:
    """A message without addresses and paths of this machine, and of a length that fits beside others."""
    text = _PATH.sub("(a path)", _ADDRESS.sub("(an address)", message))
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
