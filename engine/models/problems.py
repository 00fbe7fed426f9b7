"""Why a model file can't be had."""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ModelProblem(Exception):
    """A model file can't be had.

    Args:
        message: why; it holds no token, and of a URL no more than the host.
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


class Broken(ModelProblem):
    """It broke off, or the server has had enough: a later try may well work.

    Args:
        message: why.
        hint: what to do about it.
        after_seconds: what the server asks to wait.
    """

    def __init__(self, message: str, hint: str = "", *, after_seconds: float = 0.0) -> None:
        self.after_seconds = after_seconds
        super().__init__(message, hint)


class OutOfRange(Broken):
    """What is here is no beginning of what the server has: to be downloaded from the start."""


class WrongFile(ModelProblem):
    """It is not the file that the map, or the site, says it is."""


class NoRoom(ModelProblem):
    """There is less room than it needs."""


class DiskFull(ModelProblem):
    """The disk is full now."""


class LockLost(ModelProblem):
    """Another process took this one, which did not move, for dead, and fetches the file itself."""


def disk_problem(error: OSError, place: Path) -> ModelProblem:
    """What the disk says of a file, in words.

    Args:
        error: what it raised.
        place: the file, or the folder of it.
    """
    if error.errno in _FULL:
        return DiskFull(
            f"the disk of {place.parent} is full", "make room, or name another folder with --into or MODELS_DIR"
        )
    reason = error.strerror or type(error).__name__
    return ModelProblem(f"{place} can't be written: {reason}", "name another folder with --into or MODELS_DIR")
