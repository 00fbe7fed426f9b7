"""What is done beside ComfyUI's start, until jobs can be taken."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.draining import Shutdown
from engine.ending import ending_in_time
from engine.environments.choosing import Environments
from engine.errors import ComfyUnavailable
from engine.fitness import checks
from engine.jobs import Runner
from engine.journal import open_journal
from engine.logs import event
from engine.model_folders import model_folders, own_models
from engine.models.hub_caches import runpod_cache
from engine.models.linking import link_cached
from engine.models.required import required_models
from engine.reporting import post_to_runpod
from engine.runpod_sdk import load_runpod
from engine.settings import Settings
from engine.starting.beginning import Beginning
from engine.starting.gpu import Gpus, Probe
from engine.starting.model_fetch import ModelFetch
from engine.starting.screen import Facts
from engine.starting.telling import name_unfit, tell, tell_readiness
from engine.warming import WarmUp
from engine.worker import Worker, build

log = logging.getLogger(__name__)

_CLEAN_UP_SECONDS = 10.0
_SPARE_SECONDS = 90.0
"""Of the time that RunPod gives a worker to get ready: for what is done after the models, and before the process."""
_SECOND_REASON_SECONDS = 3.0
"""ComfyUI may end for want of a GPU before the GPU's driver has said that there is none."""


class Ready(NamedTuple):
    """What a worker is made of, once jobs can be taken.

    Attributes:
        first: what the start knew before.
        backend: has the ComfyUI.
        runner: runs jobs.
        fetch: fetches models.
        facts: what was found.
        warm_up: what is left to do before the first job.
    """

    first: Beginning
    backend: Backend
    runner: Runner
    fetch: ModelFetch
    facts: Facts
    warm_up: WarmUp | None = None


def take_jobs(first: Beginning, backend: Backend) -> None:
    """Get ready, then answer RunPod's jobs until the SDK, or whoever runs the process, says that it is over.

    Args:
        first: what the start knows.
        backend: has the ComfyUI; its process was begun, or is begun here.
    """
    with ExitStack() as stack:
        runner = build(first.settings, first.workflows.catalog, backend)
        backend.callback(runner.close)
        # A first job may be waiting, and to load all workflows takes longer than all else that is left to do.
        in_time = first.starts_comfyui or not _has_queue()
        ready = get_ready(first, backend, runner, stack, [load_runpod], all_told=in_time)
        if not _has_queue():
            tell_rest(ready)
        _serve_queue(ready)


def get_ready(
    first: Beginning,
    backend: Backend,
    runner: Runner,
    stack: ExitStack,
    others: Sequence[Callable[[], Any]] = (),
    *,
    all_told: bool = True,
) -> Ready:
    """Have everything that the first job would wait for.

    Args:
        first: what the start knows.
        backend: has the ComfyUI.
        runner: runs jobs.
        stack: closes what is opened here.
        others: what is to be done as well.
        all_told: whether the screen says what the workflows lack, which takes some ms for each.
    """
    settings, choice = first.settings, first.choice
    probe = Probe() if _wants_gpu(settings) else None
    if probe:
        stack.callback(probe.close)
    fetch = ModelFetch(settings, runner.coming, runner.live.outdated)
    stack.callback(fetch.close)
    stack.enter_context(ending_in_time())
    facts = Facts(f"{choice.mode} ({choice.reason})", settings, made=first.volume.made, linked=first.volume.linked)
    ready = Ready(first, backend, runner, fetch, facts._replace(readiness=runner.readiness if all_told else None))
    if not first.workflows.has_any:
        ready = _with_models(ready)
    at_boot = settings.comfy_start == "boot"
    with _beside(4 + len(others)) as (submit, cancel):
        told = submit(_tell, ready, probe)
        tasks = [told, submit(runner.warm), *map(submit, others)]
        tasks.append(submit(_collect_garbage_after, tuple(tasks)))
        if at_boot:
            tasks.append(submit(lambda: backend.comfy().ready(cancel)))
        _all_done(tasks)
    ready = ready._replace(facts=told.result())
    # Of the time that RunPod gives; a local API answers at once, and nobody counts the time that a Pod takes.
    until = first.at + settings.runpod_init_timeout - _SPARE_SECONDS if choice.mode == "serverless" else first.at
    if not fetch.wait(until - time.monotonic()):
        event(log, logging.WARNING, "jobs are taken while models are still being fetched")
    warm_up = WarmUp(runner, settings.warmup_workflow) if settings.warmup_workflow else None
    if at_boot and warm_up:
        warm_up()
        return ready
    return ready._replace(warm_up=warm_up)


def _wants_gpu(settings: Settings) -> bool:
    """Whether ComfyUI is to compute on a GPU of this machine."""
    if settings.comfy_url or not settings.comfy_home or settings.skip_gpu_check or not sys.platform.startswith("linux"):
        return False
    return "--cpu" not in settings.comfy_args


def _with_models(ready: Ready) -> Ready:
    """Link the models that RunPod has cached and the workflows require, and begin to fetch the others."""
    settings, catalog = ready.first.settings, ready.first.workflows.catalog
    models: list[str] = []
    if (cache := runpod_cache(settings.volume_path)) and (own := own_models(settings)):
        required = required_models(entry.workflow for entry in catalog.entries() if entry.workflow)
        done = link_cached(required, model_folders(settings), cache, own)
        models = [each.path for each in done if not each.problem]
    return ready._replace(facts=ready.facts._replace(models_linked=models, fetched=ready.fetch.begin(catalog)))


@contextmanager
def _beside(threads: int) -> Iterator[tuple[Callable[..., Future[Any]], CancellationToken]]:
    """Threads for what can be done at once; the token is cancelled when the block fails."""
    cancel = CancellationToken()
    pool = ThreadPoolExecutor(threads, "start")
    try:
        yield pool.submit, cancel
    except BaseException:
        cancel.cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _all_done(tasks: list[Future[Any]]) -> None:
    """Wait for all, or for the first that fails; of several that fail the first in the list is raised."""
    _, left = wait(tasks, return_when=FIRST_EXCEPTION)
    wait(left, _SECOND_REASON_SECONDS if left else None)  # what fails first may be but a consequence
    for task in tasks:
        if task.done():
            task.result()


def _collect_garbage_after(tasks: Sequence[Future[Any]]) -> None:
    """Have garbage collected again once these are over, ComfyUI's start or not: waiting for that makes much.

    What is there by then stays: it is looked through for garbage no more, which would hold up one job or another.
    """
    wait(tasks)
    gc.freeze()
    gc.enable()


def _tell(ready: Ready, probe: Probe | None) -> Facts:
    """Say what was found, and that there is no GPU where there is none.

    The workflows of repositories are waited for here, while ComfyUI starts; what they require follows then.
    """
    gpus: Gpus | None = None
    missing: ComfyUnavailable | None = None
    if probe:
        try:
            gpus = probe.result()
        except ComfyUnavailable as error:
            missing = error
    workflows = ready.first.workflows
    if workflows.has_any and not missing:
        workflows.wait()
        ready = _with_models(ready)
    environments = Environments(ready.first.settings)
    unverified = environments.unverified()
    for name, why in unverified.items():
        event(log, logging.WARNING, "an environment is refused", environment=name, detail=why.detail)
    facts = ready.facts._replace(gpus=gpus, environments=environments.names(), unverified=unverified)
    tell(facts, workflows.catalog, missing=missing)
    if missing:
        raise missing
    return facts


def tell_rest(ready: Ready) -> None:
    """Begin to say what is known only once the workflows are loaded, and ComfyUI was asked; returns at once."""

    def run() -> None:
        settings, catalog, runner = ready.first.settings, ready.first.workflows.catalog, ready.runner
        name_unfit(catalog, runner, asks_comfyui=settings.comfy_start == "boot")
        if ready.facts.readiness is None:
            tell_readiness(ready.facts._replace(readiness=runner.readiness), catalog)

    threading.Thread(target=run, name="readiness", daemon=True).start()


def _serve_queue(ready: Ready) -> None:
    settings, has_queue = ready.first.settings, _has_queue()
    taking = functools.partial(tell_rest, ready) if has_queue else None
    shutdown = Shutdown(settings.drain_seconds, ready.runner.intake, taking=taking)
    # Without a queue there is none to post to, and nothing comes twice.
    worker = Worker(
        ready.runner,
        post_to_runpod() if settings.runpod_progress and has_queue else None,
        journal=open_journal(settings) if has_queue else None,
        shutdown=shutdown,
        before_first=ready.warm_up,
        let_go_seconds=settings.comfy_stop_seconds + _CLEAN_UP_SECONDS,
        refresh=settings.refresh_worker,
    )
    for check in checks(settings, ready.first.workflows.catalog, ready.backend.comfy):
        load_runpod().serverless.register_fitness_check(check)
    shutdown.serve(worker.handle)


def _has_queue() -> bool:
    """Whether the SDK talks to a queue; with --test_input and --rp_serve_api there is none to post to."""
    return bool(os.environ.get("RUNPOD_WEBHOOK_POST_OUTPUT"))
