"""The queue and the history, as `/queue` and `/history` show them (0.3.64 and 0.8.0)."""

from __future__ import annotations

import copy
import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_LONGEST_HISTORY = 10000
SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")


@dataclass(frozen=True, slots=True)
class Job:
    """A validated prompt, waiting or running."""

    number: float
    prompt_id: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any]
    outputs: list[str]
    secrets: dict[str, Any] = field(default_factory=dict)

    def listed(self) -> list[Any]:
        """As `/queue` and `/history` list it: without the secrets."""
        return [self.number, self.prompt_id, self.prompt, self.extra_data, self.outputs]


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended: what history keeps of it beside the prompt."""

    success: bool
    outputs: dict[str, Any]
    meta: dict[str, Any]
    messages: list[tuple[str, dict[str, Any]]]


class Jobs:
    """Jobs by priority (a smaller number first), the running one, and what became of the others.

    Args:
        changed: called with the number of unfinished jobs whenever the queue changes, from any thread.
    """

    def __init__(self, changed: Callable[[int], None]) -> None:
        self._changed = changed
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)
        self._heap: list[tuple[float, str, int, Job]] = []
        self._ticket = itertools.count()
        self._running: Job | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._closed = False

    def put(self, job: Job) -> None:
        """Queue a job."""
        with self._lock:
            heapq.heappush(self._heap, (job.number, job.prompt_id, next(self._ticket), job))
            self._notify()
            self._arrived.notify()

    def take(self) -> Job | None:
        """Wait for the next job, which then is the running one; None when the queue was closed."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._heap or self._closed)
            if self._closed:
                return None
            *_, self._running = heapq.heappop(self._heap)
            self._notify()
            return self._running

    def finish(self, result: Result) -> None:
        """Put the running job into history."""
        with self._lock:
            job = self._running
            if job is None:
                raise RuntimeError("no job is running")
            self._running = None
            if len(self._history) > _LONGEST_HISTORY:
                del self._history[next(iter(self._history))]
            self._history[job.prompt_id] = copy.deepcopy(
                {
                    "prompt": job.listed(),
                    "outputs": result.outputs,
                    "status": {
                        "status_str": "success" if result.success else "error",
                        "completed": result.success,
                        "messages": result.messages,
                    },
                    "meta": result.meta,
                }
            )
            self._notify()

    def close(self) -> None:
        """Let `take` give None from now on."""
        with self._lock:
            self._closed = True
            self._arrived.notify_all()

    def remaining(self) -> int:
        """How many jobs wait or run."""
        with self._lock:
            return len(self._heap) + (self._running is not None)

    def listed(self) -> dict[str, list[Any]]:
        """The body of `/queue`; what waits is in heap order, not in the order it will run."""
        with self._lock:
            return {
                "queue_running": [copy.deepcopy(self._running.listed())] if self._running else [],
                "queue_pending": [copy.deepcopy(entry[-1].listed()) for entry in self._heap],
            }

    def is_running(self, prompt_id: str) -> bool:
        """Whether that is the running job."""
        with self._lock:
            return self._running is not None and self._running.prompt_id == prompt_id

    def clear(self) -> None:
        """Drop what waits."""
        with self._lock:
            self._heap = []
            self._notify()

    def delete(self, prompt_id: str) -> None:
        """Drop a waiting job; it leaves no trace. A running or unknown one is left alone."""
        with self._lock:
            kept = [entry for entry in self._heap if entry[1] != prompt_id]
            if len(kept) != len(self._heap):
                heapq.heapify(kept)
                self._heap = kept
                self._notify()

    def history(self, prompt_id: str | None = None, most: int | None = None, offset: int = -1) -> dict[str, Any]:
        """Finished jobs, oldest first.

        Args:
            prompt_id: only that one; nothing where it is not finished or not known.
            most: at most so many.
            offset: leave out so many of the oldest; below 0, the last `most` are given.
        """
        with self._lock:
            if prompt_id is not None:
                return copy.deepcopy({key: self._history[key] for key in (prompt_id,) if key in self._history})
            start = len(self._history) - most if offset < 0 and most is not None else offset
            end = None if most is None else max(start, 0) + most
            return copy.deepcopy(dict(itertools.islice(self._history.items(), max(start, 0), end)))

    def forget(self, prompt_id: str | None = None) -> None:
        """Delete one entry of history, or all."""
        with self._lock:
            if prompt_id is None:
                self._history = {}
            else:
                self._history.pop(prompt_id, None)

    def _notify(self) -> None:
        self._changed(self.remaining())
