"""A token that goes with every job, so that a step in a thread can be told to stop."""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

from engine.errors import Cancelled

_T = TypeVar("_T")

_LOOK_SECONDS = 0.1
_MOST_IDLE = 8


class CancellationToken:
    """Set once by whoever cancels, looked at between and inside the steps by whoever works."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._why: Cancelled | None = None

    def cancel(self, why: Cancelled | None = None) -> None:
        """Ask the job to stop. Any thread may call it, any number of times.

        Args:
            why: what the job is to end with, where it is not its caller who cancelled; the first call's counts.
        """
        if not self._event.is_set():
            self._why = why
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for a cancellation, at most so long; true if it came."""
        return self._event.wait(seconds)

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if the job was asked to stop."""
        if self._event.is_set():
            why = self._why
            if why is None:
                raise Cancelled("the job was cancelled")
            # Raised in each thread that looks: one exception for all would gather the tracebacks of all.
            raise Cancelled(why.message, hint=why.hint, retryable=why.retryable)


def unless_cancelled(function: Callable[[], _T], cancel: CancellationToken) -> _T:
    """Do what can't be interrupted, such as a request that may take long to be answered, in a thread that can be left.

    Args:
        function: goes on to its end whether or not it is still waited for; what it gives is thrown away then.
        cancel: ends the waiting.

    Returns:
        What the function gives.

    Raises:
        Cancelled: the job was cancelled before the function had ended.
    """
    cancel.raise_if_cancelled()
    outcome: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            outcome.put((None, error))

    context = contextvars.copy_context()  # of which the log knows whose thread it is
    _helpers.do(functools.partial(context.run, work))
    while True:
        try:
            result, error = outcome.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            cancel.raise_if_cancelled()
            continue
        if error is not None:
            try:
                raise error
            finally:
                error = None  # its traceback holds this frame: it would live on with all that it holds
        return cast("_T", result)


class _Helpers:
    """Threads that are kept for the next that needs one: starting one takes longer than most of what they do.

    There is never a wait for one: as many are started as are needed at once. They keep no process from ending.
    """

    def __init__(self) -> None:
        self._idle: deque[queue.SimpleQueue[Callable[[], None]]] = deque()

    def do(self, work: Callable[[], None]) -> None:
        """Have it done in a thread; it raises nothing."""
        try:
            mine = self._idle.pop()
        except IndexError:
            mine = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(mine,), name="unless-cancelled", daemon=True).start()
        mine.put(work)

    def _serve(self, mine: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            work = mine.get()
            work()
            del work  # and what it holds
            if len(self._idle) >= _MOST_IDLE:
                return
            self._idle.append(mine)


_helpers = _Helpers()
