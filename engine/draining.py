"""How the worker ends: it takes no more jobs, lets those that run finish for a while, and answers the rest.

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
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from engine.cancellation import CancellationToken
from engine.envelope import failure_reply
from engine.errors import Cancelled
from engine.logs import event
from engine.runpod_sdk import load_runpod

log = logging.getLogger(__name__)

Reply = dict[str, Any]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_STOP_SECONDS = 10.0
"""For cancelled jobs to come off the GPU and say so; after it they are answered for."""
_POST_SECONDS = 5.0
"""For the last replies to reach the platform."""
_CLOSE_SECONDS = 20.0
"""For ComfyUI to end (10 s, then it is killed) and connections to close; after it the process ends all the same."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A job that was taken and not yet answered.

    Attributes:
        task: the SDK's; it ends when the reply is posted.
        job_id: the job's.
        cancel: asks the job to stop.
        work: its reply to come; whoever sets it first has the word.
    """

    task: asyncio.Task[Any]
    job_id: str
    cancel: CancellationToken
    work: asyncio.Future[Reply]


class Shutdown:
    """Ends the worker when it is told to, with every job that was taken answered.

    SIGTERM: jobs that run may finish for `drain_seconds`, then they are cancelled and answered as retryable, then the
    SDK's loop is ended. SIGINT (Ctrl-C) begins with the cancelling. Every further signal ends the present stage.

    Args:
        drain_seconds: how long jobs that run may still take.
        at_once: how many jobs the SDK is to have at once.
    """

    def __init__(self, drain_seconds: float, at_once: int = 1) -> None:
        self._drain_seconds = drain_seconds
        self._at_once = at_once
        self._jobs: set[_Running] = set()
        self._taking: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
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
        task.add_done_callback(lambda _: self._jobs.discard(running))
        if self._stopping:
            cancel.cancel(_told_to_stop())

    def _concurrency(self, current: int) -> int:
        """The SDK's `concurrency_modifier`: how many jobs to have at once.

        Called before every request for jobs. While the worker ends there are none: the SDK waits for a change until
        it has no job, and then asks for zero.
        """
        if self._taking is None:
            self._taking = asyncio.current_task()
            self._loop = asyncio.get_running_loop()
            for number in _SIGNALS:
                signal.signal(number, self._on_signal)
        if not self._ending:
            return self._at_once
        # With zero the SDK would not begin a job that it has taken already, so first it must have begun all. Any other
        # number than the present one keeps it from asking for jobs as well, for as long as it has one.
        return 0 if _jobs_of_the_sdk() <= len(self._jobs) else current + 1

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
            self._hurry.set()
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
        """Wait until every job is answered, at most so long, or until the next signal."""
        until = asyncio.get_running_loop().time() + seconds
        while self._count() and not self._hurry.is_set() and (left := until - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), min(left, _LOOK_SECONDS))
        self._hurry.clear()

    def _count(self) -> int:
        """How many jobs were taken and not yet answered; the SDK's count has those as well that it has yet to begin.

        Without a queue its count is of jobs that are stored, and that nobody waits for.
        """
        return max(len(self._jobs), _jobs_of_the_sdk()) if self._taking else len(self._jobs)


def end_on_signals() -> None:
    """Have signals end what the main thread does in the ordinary way, by SystemExit, until `Shutdown` takes over.

    A process without a handler is ended without closing anything, or, as the first one of a container, not at all.
    """
    for number in _SIGNALS:
        signal.signal(number, _exit)


@contextlib.contextmanager
def ending_in_time(close_seconds: float = _CLOSE_SECONDS) -> Iterator[None]:
    """Have the process end soon after the block, whatever hangs in what is closed then.

    So it is the innermost of what the worker opens. After the block signals change nothing more, and whatever closes
    has a while; then the process ends without it.

    Args:
        close_seconds: how long the process may take to end after the block.
    """
    status: Any = 1
    try:
        yield
        status = 0
    except SystemExit as error:
        status = error.code
        raise
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        timer = threading.Timer(close_seconds, _end_now, [status if isinstance(status, int) else int(bool(status))])
        timer.daemon = True
        timer.start()


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


def _exit(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def _end_now(status: int) -> None:
    event(log, logging.ERROR, "something keeps the worker from ending; it ends without it")
    for child in multiprocessing.active_children():  # the SDK's heartbeat, which would go on
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)  # ComfyUI is ended by Linux when its parent ends: see ComfyProcess


def _jobs_of_the_sdk() -> int:
    """How many jobs the SDK has, those included that it has not begun."""
    load_runpod()
    from runpod.serverless.modules.worker_state import JobsProgress

    count: int = JobsProgress().get_job_count()
    return count


def _told_to_stop() -> Cancelled:
    return Cancelled("the worker was shut down before the job was done", hint="send the job again", retryable=True)
