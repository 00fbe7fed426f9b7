"""Who is told of a job's changes.

A thread of its own tells them, so that nobody who listens holds up the jobs; a listener that is slow gets the latest
progress in place of all between, and every state.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from engine.local_queue.records import JobRecord, JobState
from engine.logs import event

log = logging.getLogger(__name__)

OnChange = Callable[[JobRecord], None]


class _Watch:
    def __init__(self, on_change: OnChange) -> None:
        self.on_change = on_change
        self.pending: deque[JobRecord] = deque()
        self.over = False


class Watchers:
    """Those who watch, by job."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: dict[str, list[_Watch]] = {}
        self._ready: deque[_Watch] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None

    def watched(self, job_id: str) -> bool:
        """Whether anybody watches a job; looking is cheap."""
        return job_id in self._watches

    def add(self, job_id: str, on_change: OnChange) -> _Watch:
        """Tell somebody of what `tell` says of a job from now on, until `remove`."""
        watch = _Watch(on_change)
        with self._changed:
            self._watches.setdefault(job_id, []).append(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="queue-watching", daemon=True)
                self._thread.start()
        return watch

    def remove(self, job_id: str, watch: _Watch) -> None:
        """Tell them no more; a call that has begun may still end after this."""
        with self._changed:
            watch.over = True
            self._watches[job_id].remove(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def tell(self, record: JobRecord) -> None:
        """Tell those who watch a job how it stands; they are called by another thread, in this order."""
        with self._changed:
            for watch in self._watches.get(record.id, ()):
                last = watch.pending[-1] if watch.pending else None
                if last and last.state is record.state is JobState.IN_PROGRESS:
                    watch.pending[-1] = record
                    continue
                watch.pending.append(record)
                if len(watch.pending) == 1:
                    self._ready.append(watch)
            self._changed.notify()

    def close(self) -> None:
        """Tell what was said before, and nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    def _deliver(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    if self._closed:
                        return
                    self._changed.wait()
                watch = self._ready.popleft()
                record = watch.pending.popleft()
                if watch.pending:
                    self._ready.append(watch)
                if watch.over:
                    continue
            try:
                watch.on_change(record)
            except Exception:  # noqa: BLE001 - one listener's fault is not to silence the others
                event(log, logging.ERROR, "a listener failed", exc_info=True, job_id=record.id)
