"""Delivers what waits in the spool, in a thread of its own, once the bucket is back."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, StorageError
from engine.logs import event
from engine.storage.found import sha256_of
from engine.storage.parcels import Bucket, Parcel
from engine.storage.spool import Entry, Spool

log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_SAID_SECONDS = 3600.0
"""The same complaint is made so often, not with each try."""

_REFUSED_SECONDS = 60.0
"""What a bucket refuses for good rests for so long, twice as long each time, up to an hour."""

_CLOSING_SECONDS = 2.0


class Courier:
    """Looks after the spool for the buckets of one process.

    The thread runs while something waits for one of them. It tries one file at a time, the oldest first; after a try
    that fails it pauses, longer each time, up to a minute, or until an upload of a job tells that the bucket is back.

    Args:
        spool: the folder.
        buckets: of the operator.
    """

    def __init__(self, spool: Spool, buckets: Iterable[Bucket]) -> None:
        self._spool = spool
        self._buckets = {bucket.place: bucket for bucket in buckets}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = CancellationToken()
        self._refused: dict[Path, tuple[float, float]] = {}  # until when it rests, and for how long
        self._said: dict[tuple[str, str], float] = {}
        self._away: set[str] = set()

    def start(self) -> None:
        """Begins, if anything waits; does nothing if it has begun. Never raises: the job that calls has its results."""
        if self._spool.is_empty():
            return
        with self._lock:
            self._wake.set()
            if self._thread is None:
                self._closing = CancellationToken()
                thread = threading.Thread(target=self._work, args=(self._closing,), name="spool", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # no room for another thread; the next job tries again
                    event(log, logging.ERROR, "what waits for the bucket is not delivered for now", reason=str(error))
                else:
                    self._thread = thread

    def failed(self, place: str) -> None:
        """A bucket did not take the results of a job, which wait now: until something goes well it counts as away."""
        with self._lock:
            self._away.add(place)

    def knows_away(self, place: str) -> bool:
        """Whether a bucket was away when it was last tried, and is tried again and again."""
        with self._lock:
            return self._thread is not None and place in self._away

    def uploaded(self, place: str, keys: Collection[str]) -> None:
        """A bucket took these just now: what waits for the same keys is older, and the rest can go. Never raises."""
        self._came_back(place)
        if not self._spool.is_empty():
            self._spool.forget(place, keys)
            self.start()

    def close(self) -> None:
        """Ends the thread within a second or two, in the middle of an upload if need be; what waits goes on waiting."""
        with self._lock:
            thread = self._thread
            self._closing.cancel()
            self._wake.set()
        if thread is not None:
            thread.join(_CLOSING_SECONDS)

    def _work(self, closing: CancellationToken) -> None:
        self._spool.sweep()
        pause = _FIRST_PAUSE
        while not closing.cancelled:
            self._wake.clear()
            try:
                all_went, waits = self._round(closing)
            except Cancelled:
                break
            except Exception:  # noqa: BLE001 - the edge of a thread: its end would leave results behind, without a word
                folder = str(self._spool.folder)
                event(log, logging.ERROR, "the spool could not be looked at", exc_info=True, folder=folder)
                all_went, waits = False, True
            with self._lock:
                if not waits and not self._wake.is_set():
                    self._thread = None
                    self._away.clear()
                    return
            pause = _FIRST_PAUSE if all_went else min(pause * 2, _LONGEST_PAUSE)
            if self._wake.wait(pause * random.uniform(0.5, 1)):  # noqa: S311
                pause = _FIRST_PAUSE
        with self._lock:
            self._thread = None

    def _round(self, closing: CancellationToken) -> tuple[bool, bool]:
        """Tries what waits, once.

        Returns:
            Whether all that was tried went well, and whether anything still waits.
        """
        waits = failed = False
        away: set[str] = set()
        entries = self._spool.entries()
        with self._lock:  # of a bucket for which nothing waits any more, nobody would notice that it came back
            self._away &= {entry.document.place for entry in entries}
        self._refused = {
            entry.folder: self._refused[entry.folder] for entry in entries if entry.folder in self._refused
        }
        for entry in entries:
            bucket = self._buckets.get(entry.document.place)
            if bucket is None:
                self._say("that bucket is not set up here", place=entry.document.place)
                continue
            if entry.document.place in away or self._is_to_rest(entry):
                waits = True
                continue
            try:
                with entry.claimed() as is_ours:
                    if is_ours:
                        self._deliver(entry, bucket, closing)
                    else:
                        waits = waits or entry.folder.exists()
            except (StorageError, OSError) as error:
                waits = failed = True
                closing.raise_if_cancelled()
                if isinstance(error, StorageError) and error.retryable:
                    away.add(entry.document.place)
                    self.failed(entry.document.place)
                    self._say(str(error), place=entry.document.place)
                else:
                    _, pause = self._refused.get(entry.folder, (0.0, _REFUSED_SECONDS / 2))
                    pause = min(pause * 2, _SAID_SECONDS)
                    self._refused[entry.folder] = (time.monotonic() + pause, pause)
                    self._say(str(error), place=entry.document.place, folder=str(entry.folder))
        return not failed, waits

    def _is_to_rest(self, entry: Entry) -> bool:
        """Whether it was refused for good not long ago: reading it again with every job would be of no use."""
        until, _ = self._refused.get(entry.folder, (0.0, 0.0))
        return time.monotonic() < until

    def _deliver(self, entry: Entry, bucket: Bucket, closing: CancellationToken) -> None:
        """Delivers one entry.

        Raises:
            Cancelled: the process is about to end.
            StorageError: the bucket did not take it.
            OSError: it can't be read.
        """
        refused: StorageError | None = None
        for parcel in entry.waiting():
            try:
                _check(parcel)
                sent = bucket.deliver(parcel, made_at=entry.document.kept_at, cancel=closing)
            except StorageError as error:
                if error.retryable:
                    raise
                refused = error  # the others may go
                continue
            self._came_back(entry.document.place)
            late = time.time() - entry.document.kept_at
            said = (
                "a late result is in the bucket" if sent else "a late result need not go: the bucket has it or a newer"
            )
            event(log, logging.INFO, said, key=parcel.key, place=entry.document.place, seconds=late)
            entry.done(parcel)
        if refused is not None:
            raise refused
        entry.close()

    def _came_back(self, place: str) -> None:
        with self._lock:
            self._away.discard(place)

    def _say(self, reason: str, *, place: str, folder: str | None = None) -> None:
        now = time.monotonic()
        self._said = {said: until for said, until in self._said.items() if until > now}
        about = folder or place
        if (about, reason) not in self._said:
            self._said[about, reason] = now + _SAID_SECONDS
            event(log, logging.WARNING, "late results are not delivered yet", reason=reason, place=place, folder=folder)


def _check(parcel: Parcel) -> None:
    """Looks whether a file is what it was.

    Raises:
        StorageError: it is not.
    """
    if parcel.path.stat().st_size != parcel.size_bytes or sha256_of(parcel.path) != parcel.sha256:
        raise StorageError(f"the file of {parcel.key} was changed while it waited", retryable=False)
