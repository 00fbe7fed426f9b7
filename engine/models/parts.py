"""A file that is being downloaded: beside its place under a name of its own, until all of it is there and checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.cancellation import CancellationToken
from engine.models.problems import LockLost, ModelProblem, disk_problem

CHUNK_BYTES = 1024 * 1024


def part_of(target: Path) -> Path:
    """Where a file is gathered: hidden, and of no suffix that ComfyUI takes for a model's."""
    return target.with_name(f".{target.name}.part")


class Part:
    """The beginning of a file, and what is known of the file it belongs to. One process has it open, under a lock.

    What an earlier process left is gone on with, if it came from the same URL and there is a way to tell that the rest
    is of the same file: what the server knows it by, or its hash.

    Args:
        target: the name that the file gets in the end.
        url: where it comes from.
        has_hash: its sha256 is known, so that a part of another file is found out.

    Attributes:
        size: bytes that are there.
        total: bytes of the whole file; None where that is not known.
        validator: by which the server knows this very file again.
        resumed: some of it is not of this try: what is wrong in the end may be wrong with that.

    Raises:
        ModelProblem: no file can be made there.
    """

    def __init__(self, target: Path, url: str, *, has_hash: bool) -> None:
        self._target = target
        self._path = part_of(target)
        self._note = self._path.with_name(f"{self._path.name}.json")
        self._url = url
        self._has_hash = has_hash
        self.size = 0
        self.total: int | None = None
        self.validator = ""
        self.resumed = False
        self._digest = hashlib.sha256()
        note = self._read_note()
        try:
            # Not for appending: see `locking` for two that write at once. No link of that name is followed.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            self._file = os.fdopen(descriptor, "r+b", buffering=0)
            if note is not None:
                self.total, self.validator = note["total"], note["validator"]
            if note is None or not self.is_of_use_later:
                self._file.truncate(0)
                self.total, self.validator = None, ""
                return
            self.resumed = os.fstat(self._file.fileno()).st_size > 0
        except OSError as error:
            raise disk_problem(error, target) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def read_what_is_there(self, cancel: CancellationToken, told: Callable[[int], None]) -> None:
        """Work the hash out of what an earlier process left.

        Args:
            cancel: ends it.
            told: is given the bytes that were read, as they grow.

        Raises:
            Cancelled: it was ended.
            ModelProblem: it can't be read.
        """
        if not self.resumed:
            return
        try:
            self._file.seek(0)
            while piece := self._file.read(CHUNK_BYTES):
                cancel.raise_if_cancelled()
                self._digest.update(piece)
                self.size += len(piece)
                told(self.size)
        except OSError as error:
            raise disk_problem(error, self._target) from error
        if self.total is not None and self.size > self.total:
            self.restart()

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.total is not None and self.size == self.total

    @property
    def is_of_use_later(self) -> bool:
        """Whether what comes later can be told to be of the same file."""
        return bool(self.validator) or self._has_hash

    @property
    def sha256(self) -> str:
        """Of what is there."""
        return self._digest.hexdigest()

    def belongs_to(self, total: int | None, validator: str) -> None:
        """Note what the file is known by, before the first piece of it is written."""
        self.total, self.validator = total, validator
        note = {"url": self._url, "total": total, "validator": validator}
        try:
            self._note.write_text(json.dumps(note))
        except OSError as error:
            raise disk_problem(error, self._target) from error

    def write(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            DiskFull: there is no room for it.
            ModelProblem: it can't be written.
        """
        left = memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError as error:
            raise disk_problem(error, self._target) from error
        self._digest.update(piece)
        self.size += len(piece)

    def restart(self) -> None:
        """Begin anew."""
        try:
            self._file.seek(0)
            self._file.truncate()
        except OSError as error:
            raise disk_problem(error, self._target) from error
        self.size, self.total, self.validator, self.resumed = 0, None, "", False
        self._digest = hashlib.sha256()

    def finish(self) -> None:
        """Give the file its name, once it is safe on the disk. What has come to be there in the meantime stays.

        Raises:
            LockLost: another process has written to it, or removed it.
            ModelProblem: it can't be, or there is a file of that name.
        """
        try:
            os.fsync(self._file.fileno())
            if not self._is_ours_alone():
                raise LockLost("another process has touched what came of it")
            self.close()
            _name(self._path, self._target)
            _sync_folder(self._target.parent)
        except FileExistsError as error:
            self.remove()
            raise ModelProblem(
                f"{self._target} came to be there meanwhile, and was left alone", "engine models verify looks at it"
            ) from error
        except OSError as error:
            raise disk_problem(error, self._target) from error
        self._note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave nothing of it."""
        self.close()
        self.size = 0
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._note.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep what is there for the next try."""
        self._file.close()

    def _is_ours_alone(self) -> bool:
        state = os.fstat(self._file.fileno())
        try:
            is_there = os.path.samestat(state, self._path.lstat())
        except FileNotFoundError:
            return False
        return is_there and state.st_size == self.size

    def _read_note(self) -> dict[str, Any] | None:
        """What is known of the part; None where it is of another file, or nothing is."""
        try:
            note = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("url") != self._url or not isinstance(note.get("validator"), str):
            return None
        total = note.get("total")
        return note | {"total": total if isinstance(total, int) else None}


def _name(part: Path, target: Path) -> None:
    if target.is_symlink() and not target.exists():
        part.replace(target)  # a link that leads nowhere is nobody's file
        return
    try:
        target.hardlink_to(part)  # the one way to give a name that never takes another's
    except FileExistsError:
        raise
    except OSError:  # a file system without
        if target.exists():
            raise FileExistsError(f"{target} is there") from None
        part.replace(target)
        return
    part.unlink()


def _sync_folder(folder: Path) -> None:
    """The name itself, too, is to outlive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems don't know this of folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
