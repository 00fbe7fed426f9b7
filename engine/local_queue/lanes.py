"""A runner for each ComfyUI."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.backend import Backend
from engine.catalog import Catalog
from engine.jobs import Runner
from engine.media import KeptFiles
from engine.settings import Settings
from engine.storage import Storages


class Lane(NamedTuple):
    """One ComfyUI, and what runs jobs there.

    Attributes:
        backend: to be closed at the end, with the runner.
        runner: runs jobs.
    """

    backend: Backend
    runner: Runner


def runners(
    settings: Settings,
    catalog: Catalog,
    storages: Callable[[Settings], Storages],
    *,
    simulate: bool,
    kept: KeptFiles | None = None,
) -> list[Lane]:
    """A lane for each ComfyUI that COMFY_URL names; one where it names none, or one.

    Nothing is connected to or started yet.

    Args:
        settings: the operator's.
        catalog: the workflows, which all share.
        storages: gives where results go; called once for each.
        simulate: use the simulator where no ComfyUI is set.
        kept: files that were sent to this machine before, which payloads may name.
    """
    # Else a ComfyUI that is being started again would have the jobs of a whole queue fail; one of several has its jobs
    # taken over meanwhile (`engine.local_queue.workers`).
    waits = len(settings.comfy_urls) < 2 or not simulate
    lanes = []
    for url in settings.comfy_urls or (None,):
        own = settings.model_copy(update={"comfy_url": url})
        backend = Backend(own, catalog, simulate=simulate, waits=waits)
        runner = Runner(catalog, backend.comfy, storages(own), own, backend, kept=kept)
        backend.callback(runner.close)
        lanes.append(Lane(backend, runner))
    return lanes
