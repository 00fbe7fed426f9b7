"""Keeps a ComfyUI running: sees it end, starts it again, and says when that no longer helps."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.cancellation import CancellationToken
from engine.comfyui.client import ComfyClient
from engine.comfyui.memory_kills import memory_kills
from engine.comfyui.process import ComfyProcess
from engine.errors import ComfyUnavailable

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_SIGKILL = 9  # what the kernel ends a process with for want of memory
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_HINT = "see ComfyUI's log"


@dataclass(frozen=True, slots=True)
class Crash:
    """How a ComfyUI came to its end.

    Attributes:
        reason: in words: `it was killed by SIGKILL`.
        out_of_memory: the container's counter says that the kernel killed a process for want of memory meanwhile.
        log: the last lines of its log that matter; for the operator alone.
    """

    reason: str
    out_of_memory: bool = False
    log: str = ""


class ComfyStopped(ComfyUnavailable):
    """ComfyUI was gone before a job had ended: the job can be run again.

    Args:
        message: what was wrong.
        began: the job had begun, and may be the reason.
        crash: how it ended, where that is known.
        hint: what to do about it.
    """

    def __init__(
        self, message: str, *, began: bool = True, crash: Crash | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, detail=f"{crash.reason}\n{crash.log}".strip() if crash else None)
        self.began = began
        self.crash = crash


class Watch(Protocol):
    """Whether a ComfyUI is there, and what to do when it is not."""

    @property
    def started(self) -> bool:
        """Whether it is there, or comes by itself: nobody has to wait for a start."""

    @property
    def generation(self) -> int:
        """The number of its process; another one after each restart."""

    @property
    def worn_out(self) -> str | None:
        """Why its machine had better be replaced; None while there is no reason."""

    def crash_of(self, generation: int) -> Crash | None:
        """How that process ended; None while it runs, or nobody can know."""

    def wait_until_up(self, cancel: CancellationToken) -> None:
        """Wait for a ComfyUI that answers; start it, if nobody did.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not come.
        """

    def suspect(self) -> None:
        """It did not answer when it should have: look again before the next use."""

    def restart(self, why: str) -> bool:
        """End it and start it again, beside; false where it is not ours to restart."""

    def give_up(self, why: str) -> None:
        """No restart helps: the machine had better be replaced."""

    def went_well(self) -> None:
        """A job ran to its end: what was before is forgiven."""

    def close(self) -> None:
        """Watch no more, and end what was started."""


class Supervisor:
    """Watches a ComfyUI of our own and starts it again when it ends.

    Args:
        process: not started yet.
        most_crashes: in a row, after which the machine counts as worn out. It is started again even so, after pauses
            that grow, in case nobody replaces the machine.
        silent_seconds: how long it may leave everything unanswered before it counts as hung.
        memory_kills: counts what the kernel killed for want of memory.
    """

    def __init__(
        self,
        process: ComfyProcess,
        *,
        most_crashes: int = 3,
        silent_seconds: float = 60.0,
        memory_kills: Callable[[], int | None] = memory_kills,
    ) -> None:
        self.process = process
        self.generation = 0
        self.crashes_in_a_row = 0
        self._most_crashes = most_crashes
        self._silent_seconds = silent_seconds
        self._memory_kills = memory_kills
        self._changed = threading.Condition()
        self._crashes: dict[int, Crash] = {}
        self._up = False
        self._suspected = False
        self._last_failure: ComfyUnavailable | None = None
        self._restart_for: str | None = None
        self._given_up: str | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether it runs and answered once."""
        return self._up

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
            gone = Crash("it was restarted") if generation < self.generation else None
            return self._crashes.get(generation, gone)

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
            with self._changed:
                up, suspected, failure = self._up, self._suspected, self._last_failure
                # One that ran before gets more chances; one that never did is most likely installed wrong.
                hopeless = self.generation == 0 or self.crashes_in_a_row >= self._most_crashes
                if up and not suspected:
                    return
                if not up and failure is not None and hopeless:
                    # Thrown anew for each job: it tells where it was thrown.
                    raise ComfyUnavailable(failure.message, hint=failure.hint, detail=failure.detail)
                if not up:
                    self._changed.wait(0.1)
            if up and suspected:
                self._look_again(cancel)
            if time.monotonic() > deadline:
                raise ComfyUnavailable(f"ComfyUI did not start within {self.process.start_timeout:g} s", hint=_HINT)

    def suspect(self) -> None:
        """Ask it, before the next use, whether it still answers."""
        with self._changed:
            self._suspected = True

    def restart(self, why: str) -> bool:
        """Kill it; the watching thread starts it again."""
        with self._changed:
            if not self._up:
                return True  # it is down or on its way up already
            log.error("ComfyUI is restarted: %s", why)
            self._up = False
            self._restart_for = why
        self.process.kill()
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
        self._closing.set()
        self.process.stop()
        thread = self._thread
        if thread is not None:
            thread.join(self.process.stop_timeout)
            self.process.stop()  # a start that was under way

    def _watch(self) -> None:
        with self._changed:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._keep_it_up, name="comfyui-supervisor", daemon=True)
                self._thread.start()

    def _keep_it_up(self) -> None:
        while not self._closing.is_set():
            kills = self._memory_kills()
            if self._start():
                if self._closing.is_set():
                    self.process.stop()
                self.process.wait()
                if self._closing.is_set():
                    return
                self._ended(kills)
            self._closing.wait(self._pause())

    def _start(self) -> bool:
        try:
            self.process.start()
        except ComfyUnavailable as error:
            if not self._closing.is_set():
                # It tries again at once, and what is installed wrong says the same each time.
                same = self._last_failure is not None and self._last_failure.detail == error.detail
                fields = {"detail": error.detail} if error.detail and not same else {}
                log.error("%s%s", error, ", as before" if same else "", extra={"fields": fields})
            with self._changed:
                self.crashes_in_a_row += 1
                self._last_failure = error
                self._changed.notify_all()
            return False
        with self._changed:
            self.generation += 1
            self._up, self._suspected = True, False
            self._last_failure = self._restart_for = None
            self._changed.notify_all()
        return True

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

    def _pause(self) -> float:
        """None after the first crash: it has most likely nothing to do with the machine."""
        again = self.crashes_in_a_row - 1
        return 0.0 if again < 1 else float(min(_FIRST_PAUSE * 2 ** (again - 1), _LONGEST_PAUSE))

    def _look_again(self, cancel: CancellationToken) -> None:
        if answers(self.process.url, self._silent_seconds, cancel, unless=lambda: not self._up):
            with self._changed:
                self._suspected = False
        elif self._up:
            self.restart(f"it did not answer for {self._silent_seconds:g} s")


class Elsewhere:
    """A ComfyUI that others started: it can be waited for and no more.

    Args:
        url: where it answers.
        wait_seconds: how long to wait for it where it does not.
    """

    generation = 0

    def __init__(self, url: str, *, wait_seconds: float = 60.0) -> None:
        self._url = url
        self._wait_seconds = wait_seconds
        self._suspected = True
        self.started = True
        self.worn_out: str | None = None

    def crash_of(self, generation: int) -> Crash | None:  # noqa: ARG002 (the protocol's)
        """Nobody can know."""
        return None

    def wait_until_up(self, cancel: CancellationToken) -> None:
        """Wait until it answers, if it was not heard of yet or did not answer the last time.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not answer within the bound, or what answers is no ComfyUI.
        """
        if self._suspected:
            if not answers(self._url, self._wait_seconds, cancel):
                with contextlib.closing(ComfyClient(self._url, connect_timeout=1.0, read_timeout=5.0)) as client:
                    client.system_stats()  # tells why
            self._suspected = False

    def suspect(self) -> None:
        """Wait for it before the next use."""
        self._suspected = True

    def restart(self, why: str) -> bool:
        """It is not ours to restart."""
        log.error("ComfyUI had better be restarted, and is not ours to: %s", why)
        self._suspected = True
        return False

    def give_up(self, why: str) -> None:
        """Say so, until a job goes well."""
        self.worn_out = why

    def went_well(self) -> None:
        """What was before is forgiven."""
        self.worn_out = None

    def close(self) -> None:
        """Nothing was started."""


def answers(url: str, seconds: float, cancel: CancellationToken, *, unless: Callable[[], bool] = lambda: False) -> bool:
    """Whether a ComfyUI answers within that time; it is asked once at least.

    Args:
        url: where.
        seconds: how long to go on asking.
        cancel: ends it.
        unless: ends it as well.

    Raises:
        Cancelled: the job was cancelled.
    """
    deadline = time.monotonic() + seconds
    client = ComfyClient(url, connect_timeout=1.0, read_timeout=2.0)
    with contextlib.closing(client):
        while not unless():
            cancel.raise_if_cancelled()
            try:
                client.system_stats()
            except ComfyUnavailable:
                if time.monotonic() >= deadline:
                    return False
                cancel.wait(_LOOK_SECONDS)
            else:
                return True
    return False


def _in_words(status: int | None) -> str:
    if status is None or status >= 0:
        return f"it ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"it was killed by {signal.Signals(-status).name}"
    return f"it was killed by signal {-status}"
