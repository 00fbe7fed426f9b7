"""One process at a time fetches a file, of all that have its folder, and a crash locks nobody out.

A lock is a file that is made with O_EXCL, which exactly one process of any machine gets done, on network file systems
as well (open(2); NFS from version 3 on). It says who holds it, and its holder touches it every few seconds.

Its holder also has a flock on it. That goes with the process, even at `kill -9`, so that on the same machine and
mount a dead holder is known at once. On other machines a flock may hold nothing or not exist (flock(2); FUSE), so
there it is not asked: a lock that nobody has touched for a minute, by the clock of the one who waits, is given up for
dead. If such a holder was but asleep, it finds its lock gone when it goes on writing, and again before it gives the
file its name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


class FileLock:
    """The lock of one file. Not for several threads at once.

    Args:
        path: of the lock itself.
        beat_seconds: between two touches.
        stale_seconds: untouched for so long, a lock of another machine is given up for dead.
    """

    def __init__(self, path: Path, *, beat_seconds: float = BEAT_SECONDS, stale_seconds: float = STALE_SECONDS) -> None:
        self._path = path
        self._beat_seconds = beat_seconds
        self._stale_seconds = stale_seconds
        self._text = b""
        self._file = -1
        self._stopped = threading.Event()
        self._seen: tuple[bytes, int] | None = None
        self._since = 0.0

    def acquire(self) -> bool:
        """Try to get it, once; a lock whose holder is dead is removed, and the next try may get it.

        Raises:
            OSError: no file can be made there.
        """
        try:
            file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            self._look()
            return False
        try:
            with contextlib.suppress(OSError):  # where there is none, the others go by the touches
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Written once the flock is there: whoever reads this may rely on that.
            holder = {"machine": _machine(), "device": os.fstat(file).st_dev, "id": uuid.uuid4().hex}
            self._text = json.dumps(holder).encode()
            os.write(file, self._text)
        except OSError:
            os.close(file)
            self._path.unlink(missing_ok=True)
            raise
        self._file = file
        self._stopped = threading.Event()
        threading.Thread(target=self._beat, args=(self._stopped,), name="lock", daemon=True).start()
        return True

    def is_held(self) -> bool:
        """Whether it is still ours; asks the disk."""
        try:
            return self._file >= 0 and self._path.read_bytes() == self._text
        except OSError:
            return False

    def release(self) -> None:
        """Let it go; does nothing where it is not held."""
        if self._file < 0:
            return
        self._stopped.set()
        if self.is_held():
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def _beat(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._beat_seconds):
            with contextlib.suppress(OSError):  # the disk is away: it may come back
                if self._path.read_bytes() != self._text:
                    return
                os.utime(self._path)

    def _look(self) -> None:
        """Remove the lock if its holder is dead.

        Raises:
            OSError: it can't be, and never will be.
        """
        try:
            file = self._open()
        except FileNotFoundError:  # it was let go of
            if self._path.is_symlink():
                self._path.unlink(missing_ok=True)  # leads nowhere, and is none of ours
            return
        try:
            text, state = os.read(file, 4096), os.fstat(file)
            seen = (text, state.st_mtime_ns)
            now = time.monotonic()
            if seen != self._seen:
                self._seen, self._since = seen, now
            is_old = now - self._since > self._stale_seconds
            # The same file still: another may have removed it and made a lock of its own. As this one is open, its
            # number is not given to another.
            if (is_old or self._is_left(file, text, state.st_dev)) and self._path.stat().st_ino == state.st_ino:
                self._path.unlink()
                self._seen = None
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise
        finally:
            os.close(file)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:  # another user's
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def _is_left(file: int, text: bytes, device: int) -> bool:
        """Whether it was left by a process of this machine that is gone."""
        try:
            holder: Any = json.loads(text)
        except ValueError:
            return False  # it was just made
        if not isinstance(holder, dict) or holder.get("machine") != _machine() or holder.get("device") != device:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _machine() -> str:
    """Another for each machine, and each of its starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return f"{uuid.getnode()}"
