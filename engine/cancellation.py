"""A token that goes with every job, so that a step in a thread can be told to stop."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from engine.errors import Cancelled

_T = TypeVar("_T")

_LOOK_SECONDS = 0.1


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
    outcome: Future[_T] = Future()

    def work() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            outcome.set_exception(error)

    cancel.raise_if_cancelled()
    context = contextvars.copy_context()  # of which the log knows whose thread it is
    threading.Thread(target=context.run, args=(work,), name="unless-cancelled", daemon=True).start()
    while not wait([outcome], _LOOK_SECONDS).done:
        cancel.raise_if_cancelled()
    return outcome.result()
