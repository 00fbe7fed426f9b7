"""Files of this machine, for the command line alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.media.problems import Unavailable

_CHUNK_BYTES = 256 * 1024
_LONGEST_PATH = 1024


def exists(text: str) -> bool:
    """Whether a text is the path of something that is there; `~/` is the home folder."""
    try:
        return len(text) <= _LONGEST_PATH and _path(text).exists()
    except (OSError, ValueError):  # base64 can be too long for a name; a path can't hold a null
        return False


def file_chunks(name: str) -> Iterator[bytes]:
    """Reads a file.

    Args:
        name: its path; `~/` is the home folder.

    Raises:
        Unavailable: there is none, or it can't be read.
    """
    path = _path(name)
    if not exists(name):
        raise Unavailable(f"{name}: no such file (looked in {Path.cwd()})")
    if path.is_dir():
        raise Unavailable(f"{name}: is a folder, not a file")
    if not path.is_file():
        raise Unavailable(f"{name}: is not a regular file")
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Unavailable(f"{name}: can't be read: {error.strerror}", detail=str(error)) from error


def _path(text: str) -> Path:
    return Path(text).expanduser() if text.startswith("~/") else Path(text)
