"""Gives up jobs whose time is over.

RunPod's policies (https://docs.runpod.io/serverless/endpoints/send-requests#execution-policies): `ttl` bounds a job's
whole life and is counted from when it was submitted, not from when it begins, so that it ends jobs that wait as well as
jobs that run; `executionTimeout` bounds how long a worker may have it. A job that is over either is TIMED_OUT
(https://docs.runpod.io/serverless/endpoints/job-states). There a job without a policy has 24 h and 10 minutes; here it
has no `ttl`, and TIMEOUT_SECONDS bounds its execution, whose end is FAILED with `execution_timeout`, as a worker on
RunPod has it.
"""

from __future__ import annotations

import logging
import threading
import time

from engine.local_queue.database import DISK_ERRORS, detail_of
from engine.local_queue.state import Running, State
from engine.logs import event

log = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 60.0
"""The time of day may be set anew meanwhile."""

_DISK_SECONDS = 5.0


class Clock:
    """A thread that looks at the deadlines.

    Args:
        state: the queue's.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="queue-clock", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Give up no more jobs."""
        with self._state.lock:
            self._closed = True
            self._state.clock.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with self._state.lock:
            while not self._closed:
                try:
                    self._look()
                    seconds = self._seconds_to_next()
                except DISK_ERRORS as error:
                    event(log, logging.ERROR, "a job's deadline could not be kept", detail=detail_of(error))
                    seconds = _DISK_SECONDS
                self._state.clock.wait(min(seconds, _LONGEST_SLEEP_SECONDS))

    def _look(self) -> None:
        give_up_expired(self._state)
        for job_id, running in list(self._state.running.items()):
            if running.decided:
                continue
            if running.until is not None and time.monotonic() >= running.until:
                self._state.time_out(job_id, running.submission.execution_seconds, "ran")
            elif running.expires_at is not None and time.time() >= running.expires_at:
                self._state.time_out(job_id, running.submission.lifetime_seconds, "waited and ran")

    def _seconds_to_next(self) -> float:
        left = [_seconds_left(running) for running in self._state.running.values() if not running.decided]
        waiting = self._state.store.next_expiry()
        if waiting is not None:
            left.append(waiting - time.time())
        return max(0.0, min(left, default=_LONGEST_SLEEP_SECONDS)) + 0.001


def give_up_expired(state: State) -> None:
    """Give up the jobs that have waited for longer than they may; whoever calls holds the lock.

    Raises:
        EngineError: the disk can't be written to.
    """
    for job_id in state.store.expired(time.time()):
        state.time_out(job_id, None, "waited")


def _seconds_left(running: Running) -> float:
    left = [_LONGEST_SLEEP_SECONDS]
    if running.until is not None:
        left.append(running.until - time.monotonic())
    if running.expires_at is not None:
        left.append(running.expires_at - time.time())
    return min(left)
