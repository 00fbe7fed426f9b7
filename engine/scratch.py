"""Folders for what jobs make on this machine: empty when a job gets one, and nobody else's meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "job-"
_MOST_KEPT = 4


class Scratch:
    """Gives each job a folder, in the system's temporary folder. Any number of threads may use it at once.

    A job's folder is emptied when it is over. That of one that went well is kept for another: making and removing one
    takes longer than all that a small picture is written and read for (benchmarks/overhead.py). Of a job that failed
    or was cancelled a thread may be left that still writes: its folder is removed.
    """

    def __init__(self) -> None:
        self._kept: deque[Path] = deque()
        # Also where nobody closes it, as with a program that runs one job.
        self._removed = weakref.finalize(self, _remove_all, self._kept)

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, within the block."""
        folder = self._one()
        reusable = False
        try:
            yield folder
            reusable = len(self._kept) < _MOST_KEPT and _emptied(folder)
        finally:
            if reusable:
                self._kept.append(folder)
            else:
                shutil.rmtree(folder, ignore_errors=True)
            if not self._removed.alive:
                _remove_all(self._kept)

    def _one(self) -> Path:
        with contextlib.suppress(IndexError):
            while True:
                if _is_ours(kept := self._kept.pop()):
                    return kept
        return Path(tempfile.mkdtemp(prefix=_PREFIX))

    def close(self) -> None:
        """Remove the folders that are kept, and those that are in use as soon as they are not."""
        self._removed()


def _is_ours(folder: Path) -> bool:
    """Whether it is still there: the system may have tidied up, and then anybody can make one of that name."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _emptied(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()
    except OSError:
        return False
    return True


def _remove_all(kept: deque[Path]) -> None:
    with contextlib.suppress(IndexError):  # also where another thread takes the last
        while True:
            shutil.rmtree(kept.pop(), ignore_errors=True)
