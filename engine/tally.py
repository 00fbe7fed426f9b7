"""What a worker has done since it began: jobs counted, and the last thing that went wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LastError:
    """A failure that was not its caller's.

    Attributes:
        code: the error's.
        message: as its caller got it.
        job_id: of the job that failed.
        when: in UTC.
    """

    code: str
    message: str
    job_id: str
    when: datetime


class Tally:
    """Counts a process's jobs. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._running = 0
        self._done = 0
        self._cancelled = 0
        self._failed: Counter[str] = Counter()
        self._last_error: LastError | None = None

    def begun(self) -> None:
        """A job was taken; one of the next four follows."""
        with self._lock:
            self._running += 1

    def uncounted(self) -> None:
        """It is none: a question about the worker or its workflows."""
        with self._lock:
            self._running -= 1

    def done(self) -> None:
        """It went well."""
        with self._lock:
            self._running -= 1
            self._done += 1

    def failed(self, code: str, *, last: LastError | None = None) -> None:
        """It failed.

        Args:
            code: the error's.
            last: what to remember of it, where it was not its caller's failure.
        """
        with self._lock:
            self._running -= 1
            self._failed[code] += 1
            self._last_error = last or self._last_error

    def cancelled(self) -> None:
        """It was cancelled."""
        with self._lock:
            self._running -= 1
            self._cancelled += 1

    @property
    def last_error(self) -> LastError | None:
        """The last failure that was not its caller's."""
        with self._lock:
            return self._last_error

    @property
    def uptime_seconds(self) -> float:
        """Since this was made."""
        return time.monotonic() - self._start

    def jobs(self) -> dict[str, Any]:
        """How many jobs: `done`, `failed` by code, `cancelled`, `running`."""
        with self._lock:
            return {
                "done": self._done,
                "failed": dict(sorted(self._failed.items())),
                "cancelled": self._cancelled,
                "running": self._running,
            }


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
