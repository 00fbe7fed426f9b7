"""How the worker takes jobs and ends: it takes no more, lets those that run finish for a while, and answers the rest.

The SDK (runpod 1.12, rp_scale.py) ends on SIGTERM too, but waits for running jobs without a bound, stops listening to
cancellations meanwhile, and then sits out the poll for the next job, of up to 90 s. The platform kills long before.
So the signals are taken over, from the first call of `concurrency_modifier`: the SDK makes it on its event loop, in
the main thread, before it asks for a job, after it has set its own signal handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from engine.cancellation import CancellationToken
from engine.ending import SIGNALS
from engine.errors import Cancelled
from engine.intake import Bounds, Choice, Intake
from engine.logs import event
from engine.replies import failure_reply
from engine.runpod_sdk import load_runpod

log = logging.getLogger(__name__)

Reply = dict[str, Any]

_STOP_SECONDS = 10.0
"""For cancelled jobs to come off the GPU and say so; after it they are answered for."""
_POST_SECONDS = 5.0
"""For the last replies to reach the platform."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A job that was taken and not yet answered.

    Attributes:
        task: the SDK's; it ends when the reply is posted.
        job_id: the job's.
        cancel: asks the job to stop.
        work: its reply to come; whoever sets it first has the word.
        replied: its reply is with the SDK, and on its way.
    """

    task: asyncio.Task[Any]
    job_id: str
    cancel: CancellationToken
    work: asyncio.Future[Reply]
    replied: asyncio.Event = field(default_factory=asyncio.Event)


class Shutdown:
    """Ends the worker when it is told to, with every job that was taken answered.

    SIGTERM: jobs that run may finish for `drain_seconds`, then they are cancelled and answered as retryable, then the
    SDK's loop is ended. SIGINT (Ctrl-C) begins with the cancelling. Every further signal ends the present stage.

    Args:
        drain_seconds: how long jobs that run may still take.
        intake: says how many jobs the SDK is to have at once; left out, one.
        taking: called once, when the first job is about to be asked for; it must not take long.
    """

    def __init__(
        self, drain_seconds: float, intake: Intake | None = None, *, taking: Callable[[], None] | None = None
    ) -> None:
        self._drain_seconds = drain_seconds
        self._intake = intake or Intake(Bounds(most=1))
        self._replace = False
        self._asks = True
        self._on_taking = taking
        self._jobs: set[_Running] = set()
        self._taking: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None
        self._hurry = False
        self._news = asyncio.Event()  # that a job is over, or that it hurries
        self._stopping = False

    def serve(self, handler: Callable[[dict[str, Any]], Awaitable[Reply]]) -> None:
        """Hand the jobs that the SDK takes to a handler, until the worker is told to end, or the SDK ends by itself."""
        runpod = load_runpod()
        try:
            runpod.serverless.start({"handler": handler, "concurrency_modifier": self._concurrency})
        except asyncio.CancelledError:
            if not self._ending:
                raise
            event(log, logging.INFO, "the worker ends")

    def add(self, job_id: str, cancel: CancellationToken, work: asyncio.Future[Reply]) -> None:
        """Know of a job, from the task that the SDK runs it in, until that task has posted the reply."""
        task = asyncio.current_task()
        if task is None:
            return
        running = _Running(task, job_id, cancel, work)
        self._jobs.add(running)
        task.add_done_callback(lambda _: self._over(running))
        work.add_done_callback(lambda _: task.add_done_callback(self._measured(time.monotonic())))
        if self._stopping:
            cancel.cancel(_told_to_stop())

    def _over(self, running: _Running) -> None:
        self._jobs.discard(running)
        self._news.set()

    def _concurrency(self, current: int) -> int:
        """The SDK's `concurrency_modifier`: how many jobs to have at once.

        Called before every request for jobs. While the worker ends there are none: the SDK waits for a change until
        it has no job, and then asks for zero.
        """
        if self._taking is None:
            self._taking = asyncio.current_task()
            self._loop = asyncio.get_running_loop()
            for number in SIGNALS:
                signal.signal(number, self._on_signal)
            if self._on_taking:
                self._on_taking()
        if not self._ending:
            self._intake.jobs = self._at_once(current)
            self._asks = self._intake.jobs == current
            return self._intake.jobs
        # With zero the SDK would not begin a job that it has taken already, so first it must have begun all. Any other
        # number than the present one keeps it from asking for jobs as well, for as long as it has one.
        self._asks = False
        return 0 if _jobs_of_the_sdk() <= len(self._jobs) else current + 1

    def _at_once(self, current: int) -> int:
        """How many jobs to have, while the worker does not end. A change: the SDK asks for none until it has none."""
        choice = Choice(1, "the worker is to be replaced") if self._replace else self._intake.choose(current)
        if choice.jobs == current:
            return current
        # What it has taken and not begun it counts twice, and begins within the new number: a change had better wait
        # until it has begun all. But for a lower one that would be too late where it asks for more at once.
        jobs = _jobs_of_the_sdk()
        not_begun = max(jobs - len(self._jobs), 0)
        if not_begun and (choice.jobs > current or jobs + not_begun >= current):
            return current
        event(log, logging.INFO, "jobs at once", jobs=choice.jobs, before=current, reason=choice.reason)
        return choice.jobs

    async def isolated(self, reply: Reply) -> Reply:
        """A reply as the SDK may have it: only the last one in the worker may ask for the worker to be replaced.

        The platform ends the worker then, with whatever it is doing. Where other jobs are in it, or one may come any
        moment, the reply goes without, and the worker has one job at a time from then on: the next one asks. Called
        in the task in which the SDK runs the job.

        Args:
            reply: with `refresh_worker` where the worker is to be replaced.
        """
        own = next((each for each in self._jobs if each.task is asyncio.current_task()), None)
        if own is not None:
            own.replied.set()
        self._replace = bool(reply.get("refresh_worker"))
        if not self._replace:
            return reply
        until = time.monotonic() + _POST_SECONDS
        while not self._is_last():
            # Of several that end together the last one waits for the posts of the others.
            if not all(each.replied.is_set() for each in self._jobs) or time.monotonic() > until:
                return {name: value for name, value in reply.items() if name != "refresh_worker"}
            await asyncio.sleep(_LOOK_SECONDS)
        return reply

    def _is_last(self) -> bool:
        """Whether there is one job at most in the worker, and none is being asked for."""
        if self._taking is None:
            return True  # whoever else gets the jobs
        return self._count() <= 1 and (self._intake.jobs == 1 or not self._asks)

    def _measured(self, replied_at: float) -> Callable[[asyncio.Task[Any]], None]:
        """Takes the time that the SDK has needed to post a reply, once its task is over."""

        def measured(task: asyncio.Task[Any]) -> None:
            if not task.cancelled():
                self._intake.posted(time.monotonic() - replied_at)

        return measured

    @property
    def longest_seconds(self) -> float:
        """How long it may take from a signal until every job is answered."""
        return self._drain_seconds + _STOP_SECONDS + _POST_SECONDS

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        # On the loop, since a signal may come amid anything.
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            if self._loop:
                self._loop.call_soon_threadsafe(self.begin, signal.Signals(number))

    def begin(self, number: signal.Signals) -> None:
        """Begin to end, or hurry where that has begun; on the event loop.

        Args:
            number: SIGTERM, after which jobs may still finish; after any other they are cancelled at once.
        """
        if self._ending:
            event(log, logging.WARNING, "told again to end: what is left is cut short", signal=number.name)
            self._hurry = True
            self._news.set()
            return
        drain_seconds = self._drain_seconds if number == signal.SIGTERM else 0.0
        jobs = self._count()
        event(log, logging.WARNING, "told to end", signal=number.name, jobs=jobs, seconds=drain_seconds)
        self._ending = asyncio.get_running_loop().create_task(self._end(drain_seconds))

    async def _end(self, drain_seconds: float) -> None:
        await self._until_idle(drain_seconds)
        while True:
            await self._stop_jobs()
            if self._taking is None or self._taking.done():
                return  # whoever else gets the jobs sees to its own end
            await self._until_idle(_POST_SECONDS)
            # That ends the SDK's run, which cancels all there is left. Where a job comes at this very moment, Python
            # may prefer it to the cancellation: then it is answered like the others.
            self._taking.cancel()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _stop_jobs(self) -> None:
        """Have those that run fail, and answer for those that don't stop."""
        self._stopping = True
        for running in self._jobs:
            running.cancel.cancel(_told_to_stop())
        await self._until_idle(_STOP_SECONDS)
        for running in self._jobs:
            if not running.work.done():
                event(log, logging.ERROR, "a job did not stop, and is answered for", job_id=running.job_id)
                running.work.set_result(failure_reply(_told_to_stop()))

    async def _until_idle(self, seconds: float) -> None:
        """Wait until every job is answered, at most so long, or until the next signal.

        It returns at once when the last one is: an SDK that was kept from asking by a change of its number (see
        `_concurrency`) looks every second whether it has a job left, and then asks for more.
        """
        until = asyncio.get_running_loop().time() + seconds
        while self._count() and not self._hurry and (left := until - asyncio.get_running_loop().time()) > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left, _LOOK_SECONDS))
        self._hurry = False

    def _count(self) -> int:
        """How many jobs were taken and not yet answered; the SDK's count has those as well that it has yet to begin.

        Without a queue its count is of jobs that are stored, and that nobody waits for.
        """
        return max(len(self._jobs), _jobs_of_the_sdk()) if self._taking else len(self._jobs)


def in_thread(function: Callable[[], Reply], name: str) -> asyncio.Future[Reply]:
    """Run a function that never raises in a thread of its own, which keeps no process from ending.

    A pool would have an end to its threads, so that jobs which hang keep others from beginning, and Python waits for
    a pool's threads before it ends.

    Raises:
        RuntimeError: the machine has no room for another thread.
    """
    loop = asyncio.get_running_loop()
    work: asyncio.Future[Reply] = loop.create_future()

    def settle(reply: Reply) -> None:
        if not work.done():
            work.set_result(reply)

    def run() -> None:
        reply = function()
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(settle, reply)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()
    return work


def _jobs_of_the_sdk() -> int:
    """How many jobs the SDK has, those included that it has not begun."""
    load_runpod()
    from runpod.serverless.modules.worker_state import JobsProgress

    count: int = JobsProgress().get_job_count()
    return count


def _told_to_stop() -> Cancelled:
    return Cancelled("the worker was shut down before the job was done", hint="send the job again", retryable=True)
