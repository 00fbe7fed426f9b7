"""The RunPod adapter: one job at a time from the queue, in a thread, cancellable, with progress.

The SDK (runpod 1.12) calls an async handler as a task and cancels it when the job is stopped; a plain function would
run on its event loop, where nothing else could then run. Cancelling a task does not stop its thread, so a token goes
with the job, and the handler waits, shielded, until the thread has cleaned up.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.envelope import answer, failure_reply
from engine.errors import Cancelled, EngineError
from engine.jobs import Runner
from engine.journal import Journal, open_journal
from engine.logs.setup import configure
from engine.results import Progress
from engine.settings import Settings, load_settings
from engine.storage import Storages

log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]


class Worker:
    """Answers RunPod's jobs.

    Args:
        runner: runs them.
        post_progress: sends a job's progress to the platform; None sends none.
        journal: gives a job that comes again the reply it got; None runs it again.
    """

    def __init__(self, runner: Runner, post_progress: Post | None = None, journal: Journal | None = None) -> None:
        self._runner = runner
        self._journal = journal
        self._post = post_progress
        self._threads = ThreadPoolExecutor(thread_name_prefix="job")

    async def handle(self, job: dict[str, Any]) -> dict[str, Any]:
        """Answer one job; never raises, but for a cancellation."""
        cancel = CancellationToken()
        loop = asyncio.get_running_loop()
        reporter = Reporter(functools.partial(self._post, job)) if self._post else None
        work = loop.run_in_executor(self._threads, self._answer, job, cancel, reporter)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancel.cancel()
            await asyncio.wait([work])  # until ComfyUI has let go of it and its files are gone
            work.exception()  # `Cancelled`, which asyncio would report as never looked at
            raise
        except Cancelled as error:
            # Nobody cancelled the job here: somebody stopped it in ComfyUI, and its caller waits for an answer.
            return failure_reply(error)
        finally:
            if reporter:
                await reporter.close()

    def _answer(self, job: dict[str, Any], cancel: CancellationToken, reporter: Reporter | None) -> dict[str, Any]:
        run = functools.partial(
            answer,
            job.get("input"),
            self._runner,
            job_id=str(job.get("id", "local")),
            cancel=cancel,
            on_progress=reporter,
            s3_config=job.get("s3Config"),  # where RunPod puts the bucket that a request brings
        )
        return self._journal.answer(job, run, cancel) if self._journal else run()


class Reporter:
    """Posts a job's progress: the latest alone, one post at a time, and none in flight once it is closed.

    The SDK's own `progress_update` posts from a new thread each, of which a late one can overwrite the result.

    Args:
        post: sends one.
        seconds: between two posts.
    """

    def __init__(self, post: Callable[[dict[str, Any]], Awaitable[None]], seconds: float = 1.0) -> None:
        self._post = post
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._latest: Progress | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def __call__(self, progress: Progress) -> None:
        """Take a job's progress; any thread may call it."""
        self._loop.call_soon_threadsafe(self._offer, progress)

    async def close(self) -> None:
        """Let the post in flight arrive, or give it up after a while; take no more."""
        self._closed.set()
        if self._task and not self._task.done():
            _, unfinished = await asyncio.wait([self._task], timeout=5)
            for task in unfinished:
                task.cancel()

    def _offer(self, progress: Progress) -> None:
        self._latest = progress
        if not self._closed.is_set() and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        while self._latest is not None and not self._closed.is_set():
            latest, self._latest = self._latest, None
            await self._post(progress_document(latest))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self._seconds)


def progress_document(progress: Progress) -> dict[str, Any]:
    """Progress as callers see it."""
    return {
        "node": progress.node_class,
        "step": progress.step,
        "steps": progress.steps,
        "fraction": round(progress.fraction, 3),
    }


def build(settings: Settings, catalog: Catalog, backend: Backend) -> Runner:
    """What runs jobs, by the settings."""
    storages = Storages(settings, default="inline")
    storages.check()
    return Runner(catalog, backend.comfy, storages, settings)


def start() -> None:
    """Build the worker and hand it to the SDK; returns when the SDK does. Ends the process where it can't start."""
    try:
        _start()
    except EngineError as error:
        log.critical("the worker can't start: %s: %s%s", error.code, error, f" ({error.hint})" if error.hint else "")
        if error.detail:
            log.critical("%s", error.detail)
        sys.exit(1)


def _start() -> None:
    settings = load_settings()
    configure(settings)
    import runpod

    catalog = Catalog(settings.workflows_path)
    with Backend(settings, catalog, simulate=False) as backend:
        runner = build(settings, catalog, backend)
        backend.callback(runner.close)
        with ThreadPoolExecutor(1, "warm") as beside:
            warmed = beside.submit(runner.warm)  # while ComfyUI starts
            backend.comfy().ready()
            warmed.result()
        # Without a queue there is none to post to, and nothing comes twice.
        worker = Worker(runner, _post_progress(), open_journal(settings)) if _has_queue() else Worker(runner)
        runpod.serverless.start({"handler": worker.handle})


def _has_queue() -> bool:
    """Whether the SDK talks to a queue; with --test_input and --rp_serve_api there is none to post to."""
    return bool(os.environ.get("RUNPOD_WEBHOOK_POST_OUTPUT"))


def _post_progress() -> Post:
    """Send progress as the SDK's `progress_update` does (runpod 1.12, rp_progress.py), but awaited."""
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules.rp_http import send_result

    async def post(job: dict[str, Any], document: dict[str, Any]) -> None:
        async with AsyncClientSession() as session:
            await send_result(session, {"status": "IN_PROGRESS", "output": document}, job)

    return post
