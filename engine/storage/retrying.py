"""How long a bucket that fails is tried again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from engine.cancellation import CancellationToken
from engine.errors import StorageError
from engine.transfers import SILENCE_SECONDS, Transfer, watched

_T = TypeVar("_T")

RETRY_SECONDS = 20.0
"""Enough for a server that is restarted or says to slow down. Not more: the GPU waits, and is paid for, meanwhile."""

_LONGEST_PAUSE = 5.0
_SHORTEST_TRY = 5.0  # seconds that a try gets, however little is left


class Patience:
    """What all uploads of one job may lose together to a bucket that fails.

    Time counts from the last sign of life of a try that failed until the same thing goes well, and once where several
    uploads wait at the same time. So a film that takes an hour may meet many short faults, and a bucket that is away
    costs no more than the bound (and the end of the try that it ends in).

    Args:
        seconds: that may be lost.
        cancel: ends every pause and every try.
        most_retries: of one request, where there is such a bound as well.
        first_pause: seconds before the first retry; doubles with each, and up to a half of each is left to chance, so
            that workers that failed together do not come back together.
        silence_seconds: a server may be without any sign of life.
    """

    def __init__(
        self,
        seconds: float,
        cancel: CancellationToken,
        *,
        most_retries: int | None = None,
        first_pause: float = 0.25,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._cancel = cancel
        self._most_retries = most_retries
        self._first_pause = first_pause
        self._silence_seconds = silence_seconds
        self._lock = threading.Lock()
        self._lost = 0.0
        self._in_trouble = 0
        self._since = 0.0

    @classmethod
    def brief(cls, cancel: CancellationToken) -> Patience:
        """One short try of each upload, for a bucket that is known to be away."""
        return cls(0, cancel, silence_seconds=_SHORTEST_TRY)

    def run(self, attempt: Callable[[Transfer], _T]) -> _T:
        """Tries until it goes well.

        Args:
            attempt: tries once, from the beginning.

        Raises:
            Cancelled: the job was cancelled.
            StorageError: trying again can't help, or did not for as long as there was patience.
        """
        retries = 0
        in_trouble = False
        try:
            while True:
                self._cancel.raise_if_cancelled()
                transfer = Transfer(self._cancel, self._silence() if in_trouble else self._silence_seconds)
                try:
                    with watched(transfer):
                        answer = attempt(transfer)
                    if transfer.was_cut:
                        raise StorageError("the bucket's server did not finish its answer")
                    return answer
                except StorageError as error:
                    self._cancel.raise_if_cancelled()  # which is why it was cut
                    if not in_trouble:
                        in_trouble = True
                        self._enter(transfer.silent_seconds)
                    pause = min(self._first_pause * 2**retries, _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
                    if not _passes(error) or retries == self._most_retries or self.left <= pause:
                        raise
                self._cancel.wait(pause)
                retries += 1
        finally:
            if in_trouble:
                self._leave()

    @property
    def left(self) -> float:
        """Seconds that may still be lost."""
        with self._lock:
            running = time.monotonic() - self._since if self._in_trouble else 0.0
            return self._seconds - self._lost - running

    def _silence(self) -> float:
        return min(self._silence_seconds, max(self.left, _SHORTEST_TRY))

    def _enter(self, silent_seconds: float) -> None:
        with self._lock:
            began = time.monotonic() - silent_seconds
            self._since = min(self._since, began) if self._in_trouble else began
            self._in_trouble += 1

    def _leave(self) -> None:
        with self._lock:
            self._in_trouble -= 1
            if not self._in_trouble:
                self._lost += time.monotonic() - self._since


def is_local(error: StorageError) -> bool:
    """Whether it is about a file of this machine, and not about the bucket."""
    # What goes wrong with a connection comes as exceptions of a client library.
    cause = error.__cause__
    return isinstance(cause, OSError) and type(cause).__module__ == "builtins"


def _passes(error: StorageError) -> bool:
    """Whether the next try may go well; that of the same job, made anew and later, may where this may not."""
    response = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    # A clock is not set right by waiting for a few seconds (and botocore does not allow for a wrong one).
    return error.retryable and not is_local(error) and code != "RequestTimeTooSkewed"
