"""A token that goes with every job, so that a step in a thread can be told to stop."""

from __future__ import annotations

import threading

from engine.errors import Cancelled


class CancellationToken:
    """Set once by whoever cancels, looked at between and inside the steps by whoever works."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop. Any thread may call it, any number of times."""
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
            raise Cancelled("the job was cancelled")
