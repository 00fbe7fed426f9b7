"""The RunPod adapter: jobs from the queue, each in a thread, cancellable, with progress.

The SDK (runpod 1.12) calls an async handler as a task and cancels it when the job is stopped; a plain function would
run on its event loop, where nothing else could then run. Cancelling a task does not stop its thread, so a token goes
with the job, and the handler waits, shielded, until the thread has cleaned up.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.draining import Shutdown, in_thread
from engine.envelope import answer, failure_reply
from engine.errors import Cancelled, EngineError
from engine.jobs import Runner
from engine.journal import Journal
from engine.logs import event
from engine.order import taken
from engine.reporting import Post, Reporter
from engine.settings import Settings
from engine.storage import Storages

log = logging.getLogger(__name__)


class Worker:
    """Answers RunPod's jobs.

    Args:
        runner: runs them.
        post_progress: sends a job's progress to the platform; None sends none.
        journal: gives a job that comes again the reply it got; None runs it again.
        shutdown: is told of every job, so that none is lost when the worker ends.
        before_first: done before the first job that runs something.
        let_go_seconds: how long a cancelled job may clean up before the next one goes on without it.
        refresh: the worker asks to be replaced after every job that runs something.
    """

    def __init__(
        self,
        runner: Runner,
        post_progress: Post | None = None,
        *,
        journal: Journal | None = None,
        shutdown: Shutdown | None = None,
        before_first: Callable[[CancellationToken], None] | None = None,
        let_go_seconds: float = 40.0,
        refresh: bool = False,
    ) -> None:
        self._runner = runner
        self._journal = journal
        self._post = post_progress
        self._shutdown = shutdown or Shutdown(0)
        self._before_first = before_first
        self._let_go_seconds = let_go_seconds
        self._refresh = refresh

    async def handle(self, job: dict[str, Any]) -> dict[str, Any]:
        """Answer one job; never raises, but for a cancellation."""
        if not _runs_something(job):
            return await self._handle(job, None)
        with taken() as order:  # on the event loop: in the order in which the SDK began them
            return await self._handle(job, order)

    async def _handle(self, job: dict[str, Any], order: int | None) -> dict[str, Any]:
        cancel = CancellationToken()
        reporter = Reporter(functools.partial(self._post, job)) if self._post else None
        job_id = _id_of(job)
        try:
            work = in_thread(functools.partial(self._reply, job, order, cancel, reporter), f"job-{job_id}")
        except RuntimeError:
            event(log, logging.ERROR, "a job could not be begun", exc_info=True, job_id=job_id)
            return failure_reply(EngineError("the worker could not begin the job", retryable=True))
        self._shutdown.add(job_id, cancel, work)
        try:
            return await self._shutdown.isolated(await asyncio.shield(work))
        except asyncio.CancelledError:
            cancel.cancel()
            if reporter:
                reporter.stop()
            await _over(work, self._let_go_seconds)  # until ComfyUI has let go and its files are gone
            if not work.done():
                event(log, logging.ERROR, "a cancelled job has not ended yet, and the next one goes on", job_id=job_id)
            raise
        finally:
            if reporter:
                await reporter.close()

    def _reply(
        self, job: dict[str, Any], order: int | None, cancel: CancellationToken, reporter: Reporter | None
    ) -> dict[str, Any]:
        """The reply, whatever happens; in a job's own thread."""
        try:
            if self._before_first and _runs_something(job) and _wants(job) in (None, self._runner.settings.version_id):
                self._before_first(cancel)
            reply = self._answer(job, order, cancel, reporter)
        except Cancelled as error:
            # Its caller hears of it only where somebody else stopped it: in ComfyUI, or the end of the worker.
            reply = failure_reply(error)
        except BaseException:  # noqa: BLE001 - it would end the worker, with every other job in it
            event(log, logging.CRITICAL, "a job failed outside its account", exc_info=True, job_id=_id_of(job))
            reply = failure_reply(EngineError(hint="ask the operator, who finds the cause in the log"))
        if worn_out := self._runner.worn_out:
            event(log, logging.CRITICAL, "the worker asks to be replaced", job_id=_id_of(job), reason=worn_out)
            reply = {**reply, "refresh_worker": True}  # the SDK takes it out of the reply (runpod 1.12, rp_job.py)
        return reply

    def _answer(
        self, job: dict[str, Any], order: int | None, cancel: CancellationToken, reporter: Reporter | None
    ) -> dict[str, Any]:
        def run() -> dict[str, Any]:
            reply = answer(
                job.get("input"),
                self._runner,
                job_id=_id_of(job),
                cancel=cancel,
                on_progress=reporter,
                s3_config=job.get("s3Config"),  # where RunPod puts the bucket that a request brings
                order=order,
            )
            # Said here, and not of a reply that the journal gives again: nothing has run for that one.
            return {**reply, "refresh_worker": True} if self._refresh and _runs_something(job) else reply

        return self._journal.answer(job, run, cancel) if self._journal else run()


async def _over(work: asyncio.Future[Any], seconds: float) -> None:
    """Wait until it is done, at most so long; whoever cancels meanwhile, as who presses the button twice, waits too."""
    until = asyncio.get_running_loop().time() + seconds
    while not work.done() and (left := until - asyncio.get_running_loop().time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work], timeout=left)


def _id_of(job: Any) -> str:
    return str((job.get("id") if isinstance(job, dict) else None) or "local")


def _runs_something(job: Any) -> bool:
    """Whether it needs a ComfyUI, as `list` and its like do not; a request that is wrong counts as one that does."""
    request = job.get("input") if isinstance(job, dict) else None
    return not isinstance(request, dict) or request.get("action") in (None, "run")


def _wants(job: dict[str, Any]) -> Any:
    """The environment that it names."""
    request = job.get("input")
    return request.get("version_id") if isinstance(request, dict) else None


def build(settings: Settings, catalog: Catalog, backend: Backend) -> Runner:
    """What runs jobs, by the settings."""
    storages = Storages(settings, default="inline")
    storages.check()
    return Runner(catalog, backend.comfy, storages, settings, backend)
