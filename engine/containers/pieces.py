"""A file planned as pieces: new bytes, or stretches of another file, which is never held in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from engine.containers.problems import BrokenContainer
from engine.containers.view import READ_AT_ONCE, Buffer

Piece = bytes | range
"""New bytes, or from where to where in the old file."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a PNG or a WebP.

    Attributes:
        name: its four letters.
        content: where its content is.
        whole: where it is with its name, its length and what follows the content (a checksum, padding).
    """

    name: bytes
    content: range
    whole: range


_MOST_PARTS = 100_000  # they are held in memory, some hundred bytes for each

_Part = TypeVar("_Part")


def counted(parts: Iterable[_Part]) -> list[_Part]:
    """The parts of a file, all of them.

    Raises:
        BrokenContainer: they are more than any program writes.
    """
    found = list(islice(parts, _MOST_PARTS + 1))
    if len(found) > _MOST_PARTS:
        raise BrokenContainer("has more parts than can be handled")
    return found


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, where stretches that follow each other in the old file are one.

    Raises:
        BrokenContainer: they are still too many.
    """
    return counted(_joined(pieces))


def _joined(pieces: Iterable[Piece]) -> Iterable[Piece]:
    last = range(0)
    for piece in pieces:
        if isinstance(piece, range) and last.stop == piece.start:
            last = range(last.start, piece.stop)
        elif piece:
            if last:
                yield last
            if isinstance(piece, range):
                last = piece
            else:
                last = range(0)
                yield piece
    if last:
        yield last


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
            for start in range(piece.start, piece.stop, READ_AT_ONCE):
                file.write(data[start : min(start + READ_AT_ONCE, piece.stop)])
