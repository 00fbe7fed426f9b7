"""A file planned as pieces: new bytes, or stretches of another file, which is never held in memory as a whole."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

Buffer = bytes | mmap.mmap
"""A file's bytes: in memory, or mapped."""

Piece = bytes | range
"""New bytes, or from where to where in the old file."""

_COPIED_AT_ONCE = 1024 * 1024


class BrokenContainer(Exception):
    """A file is not what its first bytes say, or breaks off; the message says why, to follow the file's name."""


class NoRoom(Exception):
    """What is to be put into a file does not fit where its format keeps such things."""


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, which the system reads where they are looked at.

    Raises:
        BrokenContainer: it is empty.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise BrokenContainer("is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, where stretches that follow each other in the old file are one."""
    result: list[Piece] = []
    for piece in pieces:
        last = result[-1] if result else None
        if isinstance(piece, range) and isinstance(last, range) and last.stop == piece.start:
            result[-1] = range(last.start, piece.stop)
        elif piece:
            result.append(piece)
    return result


def unchanged(pieces: list[Piece], data: Buffer) -> bool:
    """Whether a plan gives the old file again."""
    return pieces == [range(len(data))]


def write(pieces: Iterable[Piece], data: Buffer, path: Path) -> None:
    """Write a planned file.

    Args:
        pieces: the plan.
        data: the old file.
        path: the new one; it must not be the old one.
    """
    with path.open("xb") as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
                continue
            for start in range(piece.start, piece.stop, _COPIED_AT_ONCE):
                file.write(data[start : min(start + _COPIED_AT_ONCE, piece.stop)])
