"""The journal of finished jobs: one that the platform delivers twice runs once."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.kept_replies import KeptReplies, digest
from engine.logs import about, event
from engine.settings import Settings
from engine.volume import lasting_folder

log = logging.getLogger(__name__)


_LOOK_SECONDS = 0.1

Reply = dict[str, Any]


@dataclass(slots=True)
class _Turn:
    """One delivery that runs, for the others to wait for.

    Attributes:
        over: set when it has ended.
        text: its reply as JSON, where the others may have it too.
    """

    over: threading.Event = field(default_factory=threading.Event)
    text: str | None = None


class Journal:
    """Replies of finished jobs, by job id and input. Safe to use from several threads.

    Args:
        folder: where they are kept, each in a file that only this user can read; made when first needed.
        longest_bytes: what all of them may take.
        longest_seconds: how long one is kept.
        clock: seconds since 1970.
    """

    def __init__(
        self, folder: Path, *, longest_bytes: int, longest_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._kept = KeptReplies(folder, longest_bytes=longest_bytes, longest_seconds=longest_seconds, clock=clock)
        self._lock = threading.Lock()
        self._running: dict[str, _Turn] = {}

    def answer(self, job: dict[str, Any], run: Callable[[], Reply], cancel: CancellationToken) -> Reply:
        """The reply to one of the platform's jobs; see `once`. What runs no workflow is answered anew each time."""
        asked = job.get("input")
        runs = isinstance(asked, dict) and asked.get("action", "run") == "run"
        if not runs or not isinstance(job.get("id"), str):
            return run()
        return self.once(job["id"], [asked, job.get("s3Config")], run, cancel)

    def once(self, job_id: str, asked: Any, run: Callable[[], Reply], cancel: CancellationToken) -> Reply:
        """The reply to a job: the one it got when it came before, else what `run` gives.

        A second delivery while the first runs waits for its end. What is kept are successes, and failures that a
        retry does not help; a job that was cancelled, or failed for a time, runs again. So does one whose reply holds
        a link that has ended or ends within a minute: its caller needs one that works.

        Args:
            job_id: the platform's.
            asked: all that the job holds; the same id with another input is another job.
            run: gives the reply.
            cancel: ends the wait.

        Raises:
            Cancelled: by `cancel`, or raised by `run`.
        """
        key = _key(job_id, asked)
        if key is None:
            return run()
        while True:
            with self._lock:
                turn = self._running.get(key)
                if turn is None:
                    mine = self._running[key] = _Turn()
                    break
            while not turn.over.wait(_LOOK_SECONDS):
                if cancel.cancelled:
                    with about(job_id=job_id):
                        event(log, logging.INFO, "job cancelled", reason="it waited for another delivery of itself")
                cancel.raise_if_cancelled()
            if turn.text is not None:
                return self._again(job_id, turn.text)
        try:
            if (text := self._kept.read(key)) is not None:
                mine.text = text
                return self._again(job_id, text)
            reply = run()
            mine.text = self._text(reply)
            if mine.text is not None:
                self._kept.write(key, mine.text)
            return reply
        finally:
            with self._lock:
                del self._running[key]
            mine.over.set()

    def _again(self, job_id: str, text: str) -> Reply:
        with about(job_id=job_id):
            event(log, logging.INFO, "job answered again", bytes=len(text))
        reply: Reply = json.loads(text)
        return reply

    def _text(self, reply: Reply) -> str | None:
        """What is kept of a reply; None of one that must not be."""
        failure = reply.get("failure")
        if "error" in reply and (not isinstance(failure, dict) or failure.get("retryable")):
            return None
        if isinstance(failure, dict) and failure.get("code") == Cancelled.code:
            return None
        try:
            # Whether the worker had better be replaced is said of this delivery alone.
            return json.dumps({name: value for name, value in reply.items() if name != "refresh_worker"})
        except (TypeError, ValueError, RecursionError, MemoryError):
            return None


def open_journal(settings: Settings) -> Journal | None:
    """The journal that the settings ask for; None where they switch it off."""
    path = settings.journal_path
    if path == "off":
        return None
    folder = Path(path) if path else lasting_folder("journal", settings.volume_path)
    return Journal(folder, longest_bytes=settings.journal_bytes, longest_seconds=settings.journal_seconds)


def _key(job_id: str, asked: Any) -> str | None:
    try:
        return digest(json.dumps([job_id, asked], sort_keys=True))
    except (TypeError, ValueError, RecursionError, MemoryError):
        return None  # nothing that came as JSON; whatever is wrong with it, the job itself says
