"""A thread for each ComfyUI, which takes the next job, has it answered, and says how it ended."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from engine.errors import Cancelled, ComfyUnavailable, EngineError
from engine.local_queue.answers import Answer
from engine.local_queue.clock import give_up_expired
from engine.local_queue.database import DISK_ERRORS, detail_of
from engine.local_queue.records import JobState
from engine.local_queue.state import Running, State
from engine.logs import event
from engine.replies import failure_reply
from engine.reporting import progress_document
from engine.results import Progress

log = logging.getLogger(__name__)

_LET_GO_SECONDS = 10.0
"""For interrupted jobs to come off the GPU when the server ends; after it they wait again all the same."""

_DISK_SECONDS = 5.0
"""Between two tries to write down how a job ended, where the disk is full."""

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 60.0
"""How long a worker whose ComfyUI does not answer leaves the jobs to the others, at first and at most."""


class _Worker:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.pauses_until = 0.0
        self.failures = 0

    def pause_left(self) -> float:
        return self.pauses_until - time.monotonic()


class Workers:
    """The workers of a queue.

    Where there are several, one whose ComfyUI does not answer must not eat the queue: its job goes back, once, to the
    front, and the worker takes none for a while (5 s, twice that each time, up to a minute). A job that meets this a
    second time fails, as it does where no other worker is ready.

    Args:
        state: the queue's.
        answers: what each worker does its jobs with.
    """

    def __init__(self, state: State, answers: Sequence[Answer]) -> None:
        self._state = state
        self._workers = [_Worker(answer) for answer in answers]
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"queue-worker-{number}", daemon=True)
            for number, worker in enumerate(self._workers)
        ]
        self._drain_until: float | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._workers)

    def start(self) -> None:
        """Begin to take jobs."""
        for thread in self._threads:
            thread.start()

    def ready(self) -> int:
        """How many are not pausing because their ComfyUI did not answer; whoever calls holds the lock."""
        return sum(worker.pause_left() <= 0 for worker in self._workers)

    def stop(self, drain_seconds: float) -> None:
        """Let the jobs that run finish for so long, then interrupt them and have them wait again.

        Called again, the shorter of the times counts.
        """
        state = self._state
        with state.lock:
            until = time.monotonic() + drain_seconds
            self._drain_until = until if self._drain_until is None else min(self._drain_until, until)
            state.ending = True
            state.work.notify_all()
            state.idle.notify_all()
            while state.running and (left := self._drain_until - time.monotonic()) > 0:
                state.idle.wait(left)
            for running in state.running.values():
                running.interrupted = True
                running.token.cancel(Cancelled("the server ends", retryable=True))
            until = time.monotonic() + _LET_GO_SECONDS
            while state.running and (left := until - time.monotonic()) > 0:
                state.idle.wait(left)
            for job_id, running in list(state.running.items()):
                event(log, logging.WARNING, "a job has not let go of its ComfyUI", job_id=job_id)
                if not running.decided:
                    with contextlib.suppress(*DISK_ERRORS):  # then it counts as one that was killed
                        self._put_back(job_id)
            state.running.clear()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=1.0)  # it has said how its job ended, or nobody listens any more

    def _run(self, worker: _Worker) -> None:
        while (running := self._take(worker)) is not None:
            reply = self._answer(worker, running)
            with self._state.lock:
                self._settle(worker, running, reply)

    def _take(self, worker: _Worker) -> Running | None:
        """The next job; None once there are to be no more."""
        state = self._state
        with state.lock:
            while not state.ending:
                seconds = None
                if (left := worker.pause_left()) > 0:
                    seconds = left
                else:
                    try:
                        give_up_expired(state)
                        if running := self._begin():
                            return running
                    except DISK_ERRORS as error:
                        event(log, logging.ERROR, "no job could be begun", detail=detail_of(error))
                        seconds = _DISK_SECONDS
                state.work.wait(seconds)
        return None

    def _begin(self) -> Running | None:
        state = self._state
        taken = state.store.take(time.time())
        if taken is None:
            return None
        record, submission, expires_at = taken
        bound = submission.execution_seconds
        until = None if bound is None else time.monotonic() + bound
        running = Running(record, submission, expires_at, until)
        state.running[record.id] = running
        state.tell(record.id)
        state.clock.notify_all()
        return running

    def _answer(self, worker: _Worker, running: Running) -> dict[str, Any]:
        """The reply, whatever happens."""
        job_id = running.record.id

        def on_progress(progress: Progress) -> None:
            document = progress_document(progress)
            with self._state.lock:
                if running.decided or self._state.running.get(job_id) is not running:
                    return
                # A job that is run again begins anew; its caller is not to see it go back.
                before = running.progress["fraction"] if running.progress else 0.0
                running.progress = {**document, "fraction": max(before, document["fraction"])}
                if self._state.watchers.watched(job_id):
                    self._state.watchers.tell(self._state.with_progress(running.record))

        try:
            return worker.answer(job_id, running.submission, running.token, on_progress)
        except Cancelled as error:
            return failure_reply(error)
        except BaseException:  # noqa: BLE001 - it would end the worker, and no job would be run any more
            event(log, logging.CRITICAL, "a job failed outside its account", exc_info=True, job_id=job_id)
            return failure_reply(EngineError(hint="ask the operator, who finds the cause in the log"))

    def _settle(self, worker: _Worker, running: Running, reply: dict[str, Any]) -> None:
        """Write down how a job ended; tries until the disk takes it."""
        state, job_id = self._state, running.record.id
        unavailable = _unavailable(running, reply)
        while state.running.get(job_id) is running:  # else the server ends, and has put it back
            try:
                if not running.decided:
                    self._end(worker, running, reply, unavailable=unavailable)
            except DISK_ERRORS as error:
                event(log, logging.ERROR, "a job's end could not be kept", job_id=job_id, detail=detail_of(error))
                state.idle.wait(_DISK_SECONDS)
                continue
            except (TypeError, ValueError, RecursionError):
                event(log, logging.CRITICAL, "a reply is no JSON", exc_info=True, job_id=job_id)
                reply = failure_reply(EngineError(hint="ask the operator, who finds the cause in the log"))
                continue
            del state.running[job_id]
        if unavailable and len(self._workers) > 1:
            worker.failures += 1
            pause = min(_PAUSE_SECONDS * 2 ** (worker.failures - 1), _LONGEST_PAUSE_SECONDS)
            worker.pauses_until = time.monotonic() + pause
            event(log, logging.WARNING, "a ComfyUI does not answer; its worker pauses", seconds=pause)
        elif not running.decided:
            worker.failures = 0
        state.work.notify_all()
        state.idle.notify_all()

    def _end(self, worker: _Worker, running: Running, reply: dict[str, Any], *, unavailable: bool) -> None:
        job_id = running.record.id
        failed = "error" in reply
        if failed and running.interrupted:
            self._put_back(job_id)
        elif unavailable and self._another_is_ready(worker) and not self._state.store.handed_over(job_id):
            self._put_back(job_id, handed_over=True)
        else:
            self._state.end(job_id, JobState.FAILED if failed else JobState.COMPLETED, reply)

    def _put_back(self, job_id: str, *, handed_over: bool = False) -> None:
        self._state.store.put_back(job_id, handed_over=handed_over)
        if running := self._state.running.get(job_id):
            running.progress = None
        self._state.tell(job_id)

    def _another_is_ready(self, worker: _Worker) -> bool:
        return any(each is not worker and each.pause_left() <= 0 for each in self._workers)


def _unavailable(running: Running, reply: dict[str, Any]) -> bool:
    """Whether the ComfyUI did not answer, before it had begun the job: one that ran may be what brought it down."""
    failure = reply.get("failure")
    code = failure.get("code") if isinstance(failure, dict) else None
    return code == ComfyUnavailable.code and running.progress is None and not running.decided
