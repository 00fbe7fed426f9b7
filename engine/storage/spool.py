"""A folder in which results wait for a bucket that was away when they were made.

```
incoming/ID/   being written; what a crash left there is removed after a day
kept/ID/       entry.json and the files 0, 1, …; complete, since it was renamed to here when it was
```

Several processes, and machines on one volume, may share the folder. Who delivers an entry holds a lock on its document,
which goes when the process does. Where a file system has no locks two may deliver the same: the same bytes to the same
key.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.logs import event
from engine.storage.parcels import Parcel
from engine.storage.spool_entry import Document, Kept, NotAnEntryError

log = logging.getLogger(__name__)


_DOCUMENT = "entry.json"
_UNFINISHED_SECONDS = 24 * 3600
_RESERVE_BYTES = 1024**3
"""Of the disk, which the spool never takes: ComfyUI, and much else on this machine, needs room to write."""


class NotKeptError(Exception):
    """The spool did not take the results. Its text says why, for people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The results of one job that wait.

    Attributes:
        folder: of its files.
        document: what is to become of them.
    """

    folder: Path
    document: Document

    def waiting(self) -> list[Parcel]:
        """What is not delivered yet."""
        return [
            Parcel(self.folder / each.file, each.key, each.size_bytes, each.sha256, each.headers)
            for each in self.document.objects
            if (self.folder / each.file).exists()
        ]

    def done(self, parcel: Parcel) -> None:
        """Forgets one file, and with the last the entry.

        Raises:
            OSError: it can't be removed.
        """
        parcel.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Removes what is left of an entry of which nothing waits; a process may have ended before it did.

        Raises:
            OSError: it can't be looked at.
        """
        if not self.waiting():
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[bool]:
        """Whether nobody else is at it; holds for as long as the block lasts."""
        try:
            file = (self.folder / _DOCUMENT).open("r+b")
        except OSError:
            yield False  # somebody has delivered it
            return
        with file:
            yield _locked(file.fileno()) and (self.folder / _DOCUMENT).exists()


class Spool:
    """The folder.

    Args:
        folder: made with the first result.
        most_bytes: that may wait in it.
        reserve_bytes: of the disk, that stay free.
    """

    def __init__(self, folder: Path, most_bytes: int, reserve_bytes: int = _RESERVE_BYTES) -> None:
        self.folder = folder
        self._kept = folder / "kept"
        self._incoming = folder / "incoming"
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._complained: set[Path] = set()

    def keep(self, place: str, parcels: Sequence[Parcel]) -> None:
        """Keeps the files of a job: all of them, or none.

        They are copied: a file of ComfyUI's that is linked, some node could write to again. What waits for the same
        keys from before is forgotten, since these would replace it.

        Args:
            place: the bucket and its server.
            parcels: what waits.

        Raises:
            NotKeptError: the spool is full, or can't be written to.
        """
        total = sum(parcel.size_bytes for parcel in parcels)
        now = time.time()
        name = f"{int(now * 1000):015}-{secrets.token_hex(8)}"
        objects = tuple(
            Kept(str(index), each.key, each.size_bytes, each.sha256, each.headers) for index, each in enumerate(parcels)
        )
        with self._lock:
            try:
                self._prepare()
                self._check_room(total)
                folder = self._incoming / name
                folder.mkdir(mode=0o700)
                try:
                    for each, parcel in zip(objects, parcels, strict=True):
                        _copy(parcel.path, folder / each.file)
                    _write(folder / _DOCUMENT, Document(place, now, objects).to_json())
                    _sync(folder)
                    folder.rename(self._kept / name)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                _sync(self._kept)
            except OSError as error:
                raise NotKeptError(_in_words(error)) from error
        self.forget(place, [parcel.key for parcel in parcels], but=name)

    def entries(self, place: str | None = None) -> list[Entry]:
        """What waits for a bucket, or for any, the oldest first."""
        found = []
        for folder in self._folders():
            try:
                document = Document.from_json((folder / _DOCUMENT).read_bytes())
            except FileNotFoundError:
                continue  # delivered meanwhile
            except (OSError, NotAnEntryError) as error:
                if folder not in self._complained:
                    self._complained.add(folder)
                    reason = f"its document {error}" if isinstance(error, NotAnEntryError) else error.strerror
                    event(log, logging.WARNING, "late results can't be delivered", folder=str(folder), reason=reason)
                continue
            if place is None or document.place == place:
                found.append(Entry(folder, document))
        return found

    def forget(self, place: str, keys: Collection[str], *, but: str = "") -> None:
        """Removes what waits for these keys: something newer has them. Never raises."""
        for entry in self.entries(place):
            if entry.folder.name == but:
                continue
            with contextlib.suppress(OSError):  # a volume that is going away: the job that calls has its results
                for parcel in entry.waiting():
                    if parcel.key in keys:
                        event(log, logging.INFO, "a late result is forgotten: a newer one has its key", key=parcel.key)
                        entry.done(parcel)

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._folders()

    def sweep(self) -> None:
        """Removes what a crash left half written a day ago or earlier, and what is left of delivered entries."""
        with contextlib.suppress(OSError):
            for folder in self._incoming.iterdir():
                if time.time() - folder.stat().st_mtime > _UNFINISHED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
        for folder in self._folders():
            # A network file system keeps a file that is open, here the document, under another name until it is closed.
            with contextlib.suppress(OSError):
                old = time.time() - folder.stat().st_mtime > _UNFINISHED_SECONDS
                if old and not (folder / _DOCUMENT).exists():
                    shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        try:
            return sorted(self._kept.iterdir())
        except OSError:
            return []

    def _prepare(self) -> None:
        for folder in (self.folder, self._kept, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.geteuid():
            raise NotKeptError(f"the spool {self.folder} belongs to somebody else")

    def _check_room(self, needed: int) -> None:
        taken = sum(_size_of(folder) for folder in self._folders())
        if taken + needed > self._most_bytes:
            raise NotKeptError(f"{taken} bytes wait for the bucket already, and at most {self._most_bytes} may")
        if shutil.disk_usage(self.folder).free - needed < self._reserve_bytes:
            raise NotKeptError("the disk that results wait on has no room")


def _size_of(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except OSError:  # delivered meanwhile
        return 0


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content, _made(target) as file:
        shutil.copyfileobj(content, file, 1024 * 1024)


def _write(target: Path, content: bytes) -> None:
    with _made(target) as file:
        file.write(content)


@contextlib.contextmanager
def _made(target: Path) -> Iterator[BinaryIO]:
    """A new file that nobody else may read, and that is on the disk when the block ends."""
    with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Writes a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such thing
            raise
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Takes the lock of an open file, which goes when it is closed; false where somebody has it."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True  # no locks here
    return True


def _in_words(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk that results wait on is full"
    return f"the spool can't be written to: {error.strerror or error}"
