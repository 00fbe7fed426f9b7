"""The order of a start, from nothing to the first job."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from engine import in_capitals
from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.draining import Shutdown, end_on_signals, ending_in_time
from engine.environments.choosing import Environments, settings_of_own, verify_own
from engine.errors import ComfyUnavailable, EngineError, file_trouble
from engine.fitness import checks
from engine.jobs import Runner
from engine.journal import open_journal
from engine.logs import event
from engine.logs.setup import configure
from engine.model_folders import model_folders, own_models
from engine.models.hub_caches import link_repositories, own_cache, runpod_cache
from engine.models.linking import link_cached
from engine.models.required import required_models
from engine.reporting import post_to_runpod
from engine.runpod_sdk import load_runpod
from engine.settings import Settings, load_settings
from engine.starting.gpu import Gpus, Probe
from engine.starting.model_fetch import ModelFetch
from engine.starting.modes import Choice
from engine.starting.places import find_all, homes
from engine.starting.screen import Facts, screen, shown
from engine.starting.volume_layout import make_folders
from engine.starting.workflow_fetch import WorkflowFetch
from engine.volume import wait_for_volume
from engine.warming import WarmUp
from engine.wording import listed
from engine.worker import Worker, build

if TYPE_CHECKING:
    from engine.local_queue.lanes import Lane
    from engine.server.serving import Shelf

log = logging.getLogger(__name__)

_CLEAN_UP_SECONDS = 10.0
_SPARE_SECONDS = 90.0
"""Of the time that RunPod gives a worker to get ready: for what is done after the models, and before the process."""
_SECOND_REASON_SECONDS = 3.0
"""ComfyUI may end for want of a GPU before the GPU's driver has said that there is none."""


class _Parts(NamedTuple):
    """What the start has made."""

    settings: Settings
    workflows: WorkflowFetch
    catalog: Catalog
    backend: Backend
    runner: Runner
    fetch: ModelFetch


class _Served(NamedTuple):
    """What the local server has."""

    shelf: Shelf
    lanes: list[Lane]


def start(choice: Choice) -> None:
    """Build the worker and let it work; returns when it is told to end. Ends the process where it can't start.

    Args:
        choice: `serverless` or `serve`.
    """
    try:
        _start(choice)
    except EngineError as error:
        _end_with(error)
    except OSError as error:  # a volume whose mount is broken answers with errors of all kinds
        _end_with(file_trouble(error))


def _end_with(error: EngineError) -> NoReturn:
    hint = f" ({error.hint})" if error.hint else ""
    fields = {"detail": error.detail} if error.detail else {}
    log.critical("the worker can't start: %s: %s%s", error.code, error, hint, extra={"fields": fields})
    sys.exit(1)


def _start(choice: Choice) -> None:
    begun = time.monotonic()
    end_on_signals()
    environment = in_capitals(os.environ)
    wait_for_volume(environment)
    found = find_all(environment)
    settings = settings_of_own(load_settings(found))
    if choice.mode == "serve":
        settings = _with_results_beside_the_history(settings)
    configure(settings)
    for warning in settings.warnings():
        event(log, logging.WARNING, "a variable had better be looked at", reason=warning)
    _check_comfyui(settings)
    verify_own(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(_address(settings)) if choice.mode == "serve" else None
        probe = Probe() if _wants_gpu(settings) else None
        if probe:
            stack.callback(probe.close)
        workflows = WorkflowFetch(settings)
        catalog = workflows.catalog
        facts = _at_the_volume(Facts(f"{choice.mode} ({choice.reason})", settings))
        served = _served(settings, catalog, stack) if choice.mode == "serve" else None
        if served:
            backend, runner = served.lanes[0]
        else:
            backend = stack.enter_context(Backend(settings, catalog, simulate=False))
            runner = build(settings, catalog, backend)
            backend.callback(runner.close)
        fetch = ModelFetch(settings, runner.coming, runner.live.outdated)
        stack.callback(fetch.close)
        stack.enter_context(ending_in_time())
        parts = _Parts(settings, workflows, catalog, backend, runner, fetch)
        facts = facts._replace(readiness=runner.readiness)
        if not workflows.has_any:
            facts = _with_models(facts, parts)
        # A local API answers at once, and nobody counts the time that a Pod takes.
        until = begun + settings.runpod_init_timeout - _SPARE_SECONDS if choice.mode == "serverless" else begun
        warm_up = _get_ready(parts, facts, probe, until)
        if listener and served:
            _serve_locally(parts, served, warm_up, listener)
        else:
            _take_jobs(parts, warm_up)


def _check_comfyui(settings: Settings) -> None:
    """A worker without any would fail job after job."""
    if not (settings.comfy_url or settings.comfy_home or settings.comfy_simulate):
        places = ", ".join(str(folder) for folder, _ in homes(settings.volume_path))
        names = Environments(settings).names()
        raise ComfyUnavailable(
            f"there is no ComfyUI: neither COMFY_URL nor COMFY_HOME is set, and none is in {places}",
            hint="set COMFY_HOME to the folder of its main.py, or COMFY_URL to one that runs; "
            + (f"VERSION_ID to one of these environments: {listed(names)}; " if names else "")
            + "with COMFY_SIMULATE=1 a simulator draws the pictures",
        )


def _wants_gpu(settings: Settings) -> bool:
    """Whether ComfyUI is to compute on a GPU of this machine."""
    if settings.comfy_url or not settings.comfy_home or settings.skip_gpu_check or not sys.platform.startswith("linux"):
        return False
    return "--cpu" not in settings.comfy_args


def _at_the_volume(facts: Facts) -> Facts:
    """Make a new volume's folders, and link what RunPod has cached."""
    settings = facts.settings
    made = make_folders(settings.volume_path)
    linked: list[str] = []
    if cache := runpod_cache(settings.volume_path):
        try:
            linked = link_repositories(cache, own_cache(os.environ))
        except OSError as error:
            event(log, logging.WARNING, "RunPod's Hugging Face cache can't be linked", reason=str(error))
    return facts._replace(made=len(made), linked=linked)


def _with_models(facts: Facts, parts: _Parts) -> Facts:
    """Link the models that RunPod has cached and the workflows require, and begin to fetch the others."""
    settings = facts.settings
    models: list[str] = []
    if (cache := runpod_cache(settings.volume_path)) and (own := own_models(settings)):
        required = required_models(entry.workflow for entry in parts.catalog.entries() if entry.workflow)
        done = link_cached(required, model_folders(settings), cache, own)
        models = [each.path for each in done if not each.problem]
    return facts._replace(models_linked=models, fetched=parts.fetch.begin(parts.catalog))


def _get_ready(parts: _Parts, facts: Facts, probe: Probe | None, until: float) -> WarmUp | None:
    """Have everything that the first job would wait for; gives the warm-up that is left for it.

    Models that are being fetched are waited for until that time, by the monotonic clock.
    """
    at_boot = parts.settings.comfy_start == "boot"
    with _beside(5) as (submit, cancel):  # ComfyUI takes longest, so all else is done while it starts
        tasks = [
            submit(_tell, facts, parts, probe),
            submit(parts.runner.warm),
            submit(load_runpod),
        ]
        if at_boot:
            tasks.append(submit(_have_comfyui, parts, cancel))
        _all_done(tasks)
    if not parts.fetch.wait(until - time.monotonic()):
        event(log, logging.WARNING, "jobs are taken while models are still being fetched")
    warm_up = WarmUp(parts.runner, parts.settings.warmup_workflow) if parts.settings.warmup_workflow else None
    if not at_boot or warm_up is None:
        return warm_up
    warm_up()
    return None


def _have_comfyui(parts: _Parts, cancel: CancellationToken) -> None:
    """Wait for ComfyUI, and name the workflows whose node classes it lacks."""
    parts.backend.comfy().ready(cancel)
    try:
        parts.runner.live.get()
    except ComfyUnavailable as error:  # the first job asks again
        event(log, logging.WARNING, "ComfyUI's node classes are not known yet", reason=error.message)
        return
    threading.Thread(target=_name_unready, args=(parts,), name="readiness", daemon=True).start()


def _name_unready(parts: _Parts) -> None:
    for entry in parts.catalog.entries():
        lacking = parts.runner.readiness.of(entry.workflow) if entry.workflow else []
        if classes := [each.name for each in lacking if each.kind == "class"]:
            event(log, logging.WARNING, "a workflow is not ready", name=entry.source.name, missing=listed(classes))


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


def _tell(facts: Facts, parts: _Parts, probe: Probe | None) -> None:
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
    if parts.workflows.has_any and not missing:
        parts.workflows.wait()
        facts = _with_models(facts, parts)
    environments = Environments(facts.settings)
    unverified = environments.unverified()
    for name, why in unverified.items():
        event(log, logging.WARNING, "an environment is refused", environment=name, detail=why.detail)
    facts = facts._replace(gpus=gpus, environments=environments.names(), unverified=unverified)
    lines = screen(facts, parts.catalog) | ({"GPU": missing.message} if missing else {})
    if facts.settings.log_format == "json":
        fields: dict[str, Any] = {heading.lower(): text for heading, text in lines.items()}
        event(log, logging.INFO, "the worker starts", **fields)
    else:
        sys.stderr.write(f"{shown(lines)}\n")  # a screen, and no line of the log; in one piece
    if missing:
        raise missing


def _take_jobs(parts: _Parts, before_first: WarmUp | None) -> None:
    """Answer jobs until the SDK, or whoever runs the process, says that it is over."""
    shutdown = Shutdown(parts.settings.drain_seconds)
    settings, has_queue = parts.settings, _has_queue()
    # Without a queue there is none to post to, and nothing comes twice.
    worker = Worker(
        parts.runner,
        post_to_runpod() if settings.runpod_progress and has_queue else None,
        journal=open_journal(settings) if has_queue else None,
        shutdown=shutdown,
        before_first=before_first,
        let_go_seconds=settings.comfy_stop_seconds + _CLEAN_UP_SECONDS,
        refresh=settings.refresh_worker,
    )
    for check in checks(parts.settings, parts.catalog, parts.backend.comfy):
        load_runpod().serverless.register_fitness_check(check)
    shutdown.serve(worker.handle)


def _address(settings: Settings) -> socket.socket:
    """The address of the local server, taken before anything slow is begun."""
    from engine.server.listening import bound

    return bound(settings)


def _with_results_beside_the_history(settings: Settings) -> Settings:
    """Unless OUTPUT_FOLDER says another place: what lies in a container is gone when it ends."""
    from engine.server.folder import data_folder

    if settings.source_of("output_folder").variable:
        return settings
    return settings.model_copy(update={"output_folder": data_folder(settings) / "results"})


def _served(settings: Settings, catalog: Catalog, stack: ExitStack) -> _Served:
    """What the local server has: a runner for each ComfyUI, and a folder for its queue."""
    from engine.server.serving import Shelf

    shelf = Shelf(settings)
    return _Served(shelf, shelf.lanes(catalog, stack, simulate=False))


def _serve_locally(parts: _Parts, served: _Served, before_first: WarmUp | None, listener: socket.socket) -> None:
    """Answer what comes by HTTP until the process is told to end."""
    from engine.server.context import ServerContext
    from engine.server.listening import url_of
    from engine.server.serving import serve

    def begun() -> None:
        event(log, logging.INFO, "the local API listens", url=url_of(parts.settings))

    name = parts.settings.warmup_workflow
    others = [WarmUp(lane.runner, name) if name else None for lane in served.lanes[1:]]
    with served.shelf.queue(served.lanes, [before_first, *others]) as queue:
        simulated = parts.settings.comfy_simulate
        context = ServerContext(parts.settings, parts.catalog, parts.runner, queue, served.shelf.secret, simulated)
        serve(context, listener, begun)


def _has_queue() -> bool:
    """Whether the SDK talks to a queue; with --test_input and --rp_serve_api there is none to post to."""
    return bool(os.environ.get("RUNPOD_WEBHOOK_POST_OUTPUT"))
