"""Keeps a ComfyUI running: sees it end, starts it again, and says when that no longer helps."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable

from engine.cancellation import CancellationToken
from engine.comfyui.elsewhere import answers
from engine.comfyui.memory_kills import memory_kills
from engine.comfyui.process import ComfyProcess
from engine.comfyui.watch import Crash
from engine.errors import ComfyUnavailable

log = logging.getLogger(__name__)

_SIGKILL = 9  # what the kernel ends a process with for want of memory
_FIRST_PAUSE, _LONGEST_PAUSE, _MOST_DOUBLINGS = 0.5, 30.0, 10
_CLOSED = "ComfyUI was ended, because the worker ends"
_HINT = "see ComfyUI's log"


class Supervisor:
    """Watches a ComfyUI of our own and starts it again when it ends.

    Args:
        process: not started yet.
        most_crashes: in a row, after which the machine counts as worn out. It is started again even so, after pauses
            that grow, in case nobody replaces the machine.
        silent_seconds: how long it may leave everything unanswered before it counts as hung.
        memory_kills: counts what the kernel killed for want of memory.
        before: done before each start, such as to end another ComfyUI that has the GPU.
        verify: done once it answers; a ComfyUI of which it raises ComfyUnavailable counts as one that does not start.
    """

    def __init__(
        self,
        process: ComfyProcess,
        *,
        most_crashes: int = 3,
        silent_seconds: float = 60.0,
        memory_kills: Callable[[], int | None] = memory_kills,
        before: Callable[[], None] = lambda: None,
        verify: Callable[[], None] = lambda: None,
    ) -> None:
        self.process = process
        self.generation = 0
        self.crashes_in_a_row = 0
        self._most_crashes = most_crashes
        self._silent_seconds = silent_seconds
        self._memory_kills = memory_kills
        self._before = before
        self._verify = verify
        self._changed = threading.Condition()
        self._crashes: dict[int, Crash] = {}
        self._up = False
        self._suspected = False
        self._last_failure: ComfyUnavailable | None = None
        self._restart_for: str | None = None
        self._given_up: str | None = None
        self._closing = threading.Event()
        self._launched = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether it runs and answered once."""
        return self._up

    @property
    def begun(self) -> bool:
        """Whether anybody has waited for it, so that it was started, or is about to be."""
        return self._thread is not None

    @property
    def failed(self) -> bool:
        """Whether it does not run because it did not start, the last time that it was tried."""
        with self._changed:
            return not self._up and self._last_failure is not None

    @property
    def worn_out(self) -> str | None:
        """That it stopped too often in a row, and how the last time."""
        with self._changed:
            if self.crashes_in_a_row < self._most_crashes:
                return self._given_up
            last = self._crashes.get(max(self._crashes, default=0))
            how = last.reason if last else self._last_failure.message if self._last_failure else "it does not start"
            return f"ComfyUI stopped {self.crashes_in_a_row} times in a row: {how}"

    def crash_of(self, generation: int) -> Crash | None:
        """How that process ended; None while it runs."""
        with self._changed:
            if self._closing.is_set():
                return Crash(_CLOSED)
            gone = Crash("it was restarted") if generation < self.generation else None
            return self._crashes.get(generation, gone)

    def begin(self) -> None:
        """Start it, if nobody did; returns when its process runs or can't be started, which `wait_until_up` tells."""
        self._watch()
        if self._thread is not None:
            self._launched.wait()

    def wait_until_up(self, cancel: CancellationToken) -> None:
        """Wait for the start or restart, at most as long as a start may take.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not start, or stopped too often to be waited for.
        """
        self._watch()
        deadline = time.monotonic() + self.process.start_timeout + self.process.stop_timeout
        while True:
            cancel.raise_if_cancelled()
            if self._closing.is_set():
                raise ComfyUnavailable(_CLOSED, hint="send the job again")
            with self._changed:
                up, suspected, failure = self._up, self._suspected, self._last_failure
                # One that ran before gets more chances; one that never did is most likely installed wrong.
                hopeless = self.generation == 0 or self.crashes_in_a_row >= self._most_crashes
                if up and not suspected:
                    return
                if not up and failure is not None and hopeless:
                    # Thrown anew for each job: it tells where it was thrown.
                    raise type(failure)(failure.message, hint=failure.hint, detail=failure.detail)
                if not up:
                    self._changed.wait(0.1)
            if up and suspected:
                self._look_again(cancel)
            if time.monotonic() > deadline:
                late = f"ComfyUI did not start within {self.process.start_timeout:g} s"
                self.give_up(late)  # it may be one that can't even be killed, as while it waits for a broken driver
                raise ComfyUnavailable(late, hint=_HINT)

    def suspect(self) -> None:
        """Ask it, before the next use, whether it still answers."""
        with self._changed:
            self._suspected = True

    def restart(self, why: str, generation: int | None = None) -> bool:
        """Kill it; the watching thread starts it again."""
        with self._changed:
            if not self._up or generation not in {None, self.generation}:
                return True  # it is down, on its way up, or a new one already
            log.error("ComfyUI is restarted: %s", why)
            self._up = False
            self._restart_for = why
            self.process.kill()  # under the lock: else it might be the next one that it hits
        return True

    def give_up(self, why: str) -> None:
        """Count the machine as worn out, until a job goes well."""
        with self._changed:
            self._given_up = why

    def went_well(self) -> None:
        """Begin to count anew."""
        with self._changed:
            self.crashes_in_a_row = 0
            self._given_up = None
            self._suspected = False

    def close(self) -> None:
        """End the process, and the thread that watches it."""
        with self._changed:
            self._closing.set()
            self._launched.set()  # where it is closed before its thread has begun, nobody else says so
            self._up = False
            self._changed.notify_all()
            thread = self._thread
        self.process.stop()
        deadline = time.monotonic() + self.process.stop_timeout
        while thread is not None and thread.is_alive() and time.monotonic() < deadline:
            thread.join(0.1)
            self.process.stop()  # a start that was under way

    def _watch(self) -> None:
        with self._changed:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._keep_it_up, name="comfyui-supervisor", daemon=True)
                self._thread.start()

    def _keep_it_up(self) -> None:
        while not self._closing.is_set():
            try:
                self._watch_one()
            except Exception as error:  # the thread's edge: without it ComfyUI would never come back
                log.exception("watching ComfyUI failed; it is started again")
                self._failed(ComfyUnavailable(f"ComfyUI can't be started: {type(error).__name__}", hint=_HINT))
            self._launched.set()  # also where it could not be
            self._closing.wait(pause_seconds(self.crashes_in_a_row))

    def _watch_one(self) -> None:
        kills = self._memory_kills()
        if self._start():
            if self._closing.is_set():
                self.process.stop()
            self.process.wait()
            if not self._closing.is_set():
                self._ended(kills)

    def _start(self) -> bool:
        try:
            self._before()
            if self._closing.is_set():  # that may have taken a while
                return False
            self.process.start(launched=self._launched.set)
            self._verify()
        except ComfyUnavailable as error:
            self.process.stop()
            if not self._closing.is_set():
                # It tries again at once, and what is installed wrong says the same each time.
                same = self._last_failure is not None and self._last_failure.detail == error.detail
                fields = {"detail": error.detail} if error.detail and not same else {}
                log.error("%s%s", error, ", as before" if same else "", extra={"fields": fields})
            self._failed(error)
            return False
        with self._changed:
            self.generation += 1
            self._up, self._suspected = not self._closing.is_set(), False
            self._last_failure = self._restart_for = None
            self._changed.notify_all()
        return True

    def _failed(self, error: ComfyUnavailable) -> None:
        with self._changed:
            self.crashes_in_a_row += 1
            self._up = False
            self._last_failure = error
            self._changed.notify_all()

    def _ended(self, kills_before: int | None) -> None:
        status, kills = self.process.status, self._memory_kills()
        out_of_memory = kills is not None and kills_before is not None and kills > kills_before
        with self._changed:
            why = self._restart_for
            killed = status == -_SIGKILL and why is None
            crash = Crash(why or _in_words(status), out_of_memory and killed, self.process.log.telling())
            self._crashes = {self.generation: crash}  # of older ones nobody waits any more
            self.crashes_in_a_row += 1
            self._up = False
            self._changed.notify_all()
        if why is None:
            fields = {"detail": crash.log} if crash.log else {}
            log.error("ComfyUI stopped: %s", crash.reason, extra={"fields": fields})

    def _look_again(self, cancel: CancellationToken) -> None:
        generation = self.generation
        if answers(self.process.url, self._silent_seconds, cancel, unless=lambda: not self._up):
            with self._changed:
                self._suspected = False
        elif self._up:
            self.restart(f"it did not answer for {self._silent_seconds:g} s", generation)


def pause_seconds(crashes_in_a_row: int) -> float:
    """How long to wait before the next start; not at all after the first crash: it may be no fault of the machine."""
    doublings = min(crashes_in_a_row - 2, _MOST_DOUBLINGS)
    return 0.0 if doublings < 0 else min(_FIRST_PAUSE * 2**doublings, _LONGEST_PAUSE)


def _in_words(status: int | None) -> str:
    if status is None or status >= 0:
        return f"it ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"it was killed by {signal.Signals(-status).name}"
    return f"it was killed by signal {-status}"
