"""The file that the queue is kept in.

One process has it at a time: SQLite's write-ahead log then needs no memory shared with others, which network volumes
do not have (`locking_mode=EXCLUSIVE`, https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from engine.errors import EngineError, Problem, SettingsError
from engine.logs import event

log = logging.getLogger(__name__)

_VERSION = 1
_FILE = "queue.sqlite"
_LOCK = "queue.lock"

_SCHEMA = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    workflow TEXT NOT NULL,
    shown TEXT NOT NULL,
    shortened INTEGER NOT NULL,
    search TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    expires_at REAL,
    execution_seconds REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    handed_over INTEGER NOT NULL DEFAULT 0,
    reply TEXT
);
CREATE INDEX waiting ON jobs (seq) WHERE state = 'IN_QUEUE';
CREATE INDEX running ON jobs (seq) WHERE state = 'IN_PROGRESS';
CREATE INDEX expiring ON jobs (expires_at) WHERE state = 'IN_QUEUE' AND expires_at IS NOT NULL;
CREATE INDEX finished ON jobs (finished_at, seq) WHERE finished_at IS NOT NULL;
CREATE TABLE requests (job_id TEXT PRIMARY KEY, submission TEXT NOT NULL);
CREATE TABLE files (
    job_id TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, content_type TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
);
CREATE TABLE webhooks (
    job_id TEXT PRIMARY KEY, url TEXT NOT NULL, base_url TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due_at REAL
);
CREATE TABLE totals (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
INSERT INTO totals VALUES ('completed', 0), ('failed', 0), ('retried', 0);
"""
"""`requests` holds what only a job that has not ended needs, secrets among it; it goes when the job ends."""


DISK_ERRORS = (EngineError, sqlite3.Error)
"""What the disk's failures are, when there is written or read; a thread that goes on by itself outlives them."""


def detail_of(error: Exception) -> str:
    """What the log says of one of them."""
    return (error.detail if isinstance(error, EngineError) else None) or str(error)


class _NotOursError(Exception):
    """The file is none that this version can use. Its text says why."""


class Database:
    """The file, and the right to it. Used by one thread at a time: whoever calls holds the queue's lock.

    Args:
        folder: made, for nobody but us, where it is missing.

    Raises:
        SettingsError: the folder can't be written to, or another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(folder)
        except OSError as error:
            raise _unusable(folder, f"can't be written to: {error.strerror or error}") from error
        try:
            self.connection = self._opened(folder / _FILE)
        except BaseException:
            os.close(self._lock)
            raise
        self._depth = 0
        self.scrub()  # the process before this one may have been killed before it did

    def close(self) -> None:
        """Let go of the file."""
        try:
            self.connection.close()
        finally:
            os.close(self._lock)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written inside is on disk when the block ends, or not at all; one inside another joins it.

        Raises:
            EngineError: the disk is full, or fails.
        """
        if self._depth:
            yield self.connection
            return
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0
        except sqlite3.Error as error:
            raise EngineError(
                "the queue could not be written to its disk",
                hint="ask the operator, who finds the cause in the log",
                detail=f"{self.folder}: {error}",
                retryable=True,
            ) from error

    def scrub(self) -> None:
        """Have nothing left on the disk of what was removed; a disk that fails is asked again the next time.

        The write-ahead log holds what was written before, secrets of a request among it, until it is written over.
        """
        try:
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            event(log, logging.WARNING, "the queue's log could not be cut", folder=str(self.folder), reason=str(error))

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # what SQLite puts beside it has its mode
            try:
                return _connected(path)
            except (_NotOursError, sqlite3.DatabaseError) as error:
                # A disk that fails, or is full, is no fault of the file: only what is wrong inside is.
                if isinstance(error, sqlite3.OperationalError):
                    raise
                _put_aside(path, str(error))
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            return _connected(path)
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise _unusable(self.folder, f"its {_FILE} can't be used: {why}") from error


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1.0)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a job that was taken outlives a power cut as well
        connection.execute("PRAGMA secure_delete = ON")  # what is removed of a request holds secrets
        connection.execute("PRAGMA journal_size_limit = 4000000")
        if [row[0] for row in connection.execute("PRAGMA quick_check(1)")] != ["ok"]:
            raise _NotOursError("it is damaged")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise _NotOursError(f"it is of version {version}, and this engine reads version {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _put_aside(path: Path, why: str) -> None:
    """Move a file that can't be read out of the way, with what SQLite wrote beside it; nothing is deleted."""
    aside = path.with_name(f"{path.name}.unreadable-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06}")
    for suffix in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    event(log, logging.ERROR, "the queue's file can't be read; a new one is begun", kept_as=str(aside), reason=why)


def _locked(folder: Path) -> int:
    """The right to the folder, for as long as the descriptor is open; it goes with the process, however that ends."""
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return descriptor  # no locks on this file system; SQLite's own are left
        os.close(descriptor)
        raise _unusable(folder, "is in use by another server") from error
    return descriptor


def _unusable(folder: Path, why: str) -> SettingsError:
    return SettingsError(
        problems=[Problem("API_FOLDER", f"{folder} {why}")],
        hint="set API_FOLDER to a folder that this server has to itself and may write to, or end the other server",
    )
