"""What must hold before a worker takes jobs.

The SDK (runpod 1.12, rp_fitness.py) runs the registered checks once, where the worker has a queue, before it asks for
the first job. One that raises ends the process with status 1, and the platform tries another machine.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.catalog import Catalog, Entry
from engine.logs import event
from engine.settings import Settings
from engine.storage import spool_folder

log = logging.getLogger(__name__)

Check = Callable[[], None]

_MOST_NAMED = 5


class Checked(Protocol):
    """What is asked of a ComfyUI; `engine.comfyui.ComfyUI` tells it."""

    def ready(self) -> None:
        """Wait until it answers."""

    def system_stats(self) -> dict[str, Any]:
        """ComfyUI's versions, memory and devices, in its own words (`/system_stats`)."""


class Unfit(RuntimeError):
    """This machine can't run jobs; the message says why, and what to do."""


def checks(settings: Settings, catalog: Catalog, comfy: Callable[[], Checked]) -> list[Check]:
    """The checks of a worker, in the order to run them; the SDK calls each by its name.

    Args:
        settings: with COMFY_START=first_job nothing is asked of ComfyUI, which is not there yet.
        catalog: the workflows.
        comfy: gives the ComfyUI.
    """

    def disk() -> None:
        check_disk([Path(tempfile.gettempdir())], settings.min_free_disk_bytes)
        if spool := spool_folder(settings):
            # On a volume that all workers share, no other machine would be any better, and none would be left to
            # deliver what fills it.
            try:
                check_disk([spool], settings.min_free_disk_bytes)
            except Unfit as error:
                event(log, logging.WARNING, "results may find no place to wait for their bucket", reason=str(error))

    def workflows() -> None:
        check_workflows(catalog, needed=not settings.allow_raw_workflows)

    def comfyui_answers() -> None:
        comfy().ready()

    def gpu() -> None:
        check_gpu(comfy().system_stats(), settings.comfy_args)

    return [disk, workflows] if settings.comfy_start == "first_job" else [disk, workflows, comfyui_answers, gpu]


def check_disk(folders: Iterable[Path], least_bytes: int) -> None:
    """Room for files.

    Args:
        folders: whose file systems are looked at; one that is not there yet counts as the folder it will be in.
        least_bytes: that must be free in each.

    Raises:
        Unfit: there is less in one.
    """
    for folder in folders:
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        free = shutil.disk_usage(there).free
        if free < least_bytes:
            raise Unfit(
                f"{folder} has {free:,} bytes free, and jobs need {least_bytes:,}: "
                "give the container a larger disk, or set MIN_FREE_DISK_BYTES lower"
            )


def check_workflows(catalog: Catalog, *, needed: bool = True) -> None:
    """At least one workflow loads; no more are loaded than it takes to see that, since thousands take a while.

    Args:
        catalog: the workflows.
        needed: whether a worker without any is of no use; one that takes whole graphs is.

    Raises:
        Unfit: none loads.
    """
    broken: list[Entry] = []
    for entry in catalog.entries():
        if not entry.error:
            return
        broken.append(entry)
    for entry in broken:
        tell_broken(entry)
    if needed:
        raise Unfit(
            "no workflow loads: " + "; ".join(_reason(each) for each in broken[:_MOST_NAMED])
            if broken
            else "there is no workflow: "
            + (
                "; ".join(catalog.troubles())
                or "WORKFLOWS_PATH names folders that hold templates/ and schemas/, and repositories by https://…"
            )
        )


def check_gpu(stats: Mapping[str, Any], args: Sequence[str] = ()) -> None:
    """ComfyUI computes on something that is not the CPU, unless it was told to (`--cpu`) or is the simulator.

    Args:
        stats: what its `/system_stats` says: `devices` with a `type` each (`cuda`, `xpu`, `mps`, `cpu`), its arguments
            as `system.argv`.
        args: further arguments of it.

    Raises:
        Unfit: it has nothing but the CPU.
    """
    system = stats.get("system", {})
    if "--cpu" in (*args, *system.get("argv", ())) or system.get("pytorch_version") == "simulated":
        return
    types = [str(device.get("type", "")) for device in stats.get("devices", ())]
    if not any(kind and kind != "cpu" for kind in types):
        raise Unfit(
            "ComfyUI found no GPU: check the driver and that its PyTorch is built for CUDA; COMFY_ARGS=--cpu says that "
            "it is to run on the CPU"
        )


def tell_broken(entry: Entry) -> None:
    """Name a workflow that does not load in the log, with the reason."""
    event(log, logging.WARNING, "a workflow does not load", name=entry.source.name, reason=str(entry.error))


def _reason(entry: Entry) -> str:
    return f"{entry.source.name}: {entry.error}"
