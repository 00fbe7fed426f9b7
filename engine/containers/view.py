"""The bytes of a file, read where they are looked at.

Files are not mapped into memory: pages of a mapping count as memory of this process, to the bounds of a container as
well, and the system maps those around a page along with it. A walk over a large file's parts would map all of it.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import overload

from engine.containers.problems import BrokenContainer

READ_AT_ONCE = 1024 * 1024
"""The most bytes of a file that copying and searching hold at a time."""

# Headers are short and stand at some distance from each other, or, in a GIF, each some 255 bytes after the last.
_WINDOW_BYTES = 4096


class FileView:
    """A file as `bytes` show themselves: its length, a byte, or a stretch of it.

    A stretch is read whole: who asks bounds it. Single bytes and short stretches come out of a small window.

    Args:
        file: opened for reading without a buffer; the view counts on being its only user.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._length = file.seek(0, io.SEEK_END)
        self._window = b""
        self._window_start = 0

    def __len__(self) -> int:
        """The file's length in bytes, when the view was made."""
        return self._length

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> bytes: ...

    def __getitem__(self, place: int | slice) -> int | bytes:
        """A byte at a place from the start, or the bytes of a stretch; what lies behind the file's end is not there.

        Raises:
            IndexError: there is no byte at that place.
            BrokenContainer: the file has become shorter.
            OSError: it can't be read.
        """
        if isinstance(place, slice):
            start, stop, step = place.indices(self._length)
            return self._stretch(start, max(start, stop))[::step]
        if not 0 <= place < self._length:
            raise IndexError("there is no such byte in the file")
        at = place - self._window_start
        if 0 <= at < len(self._window):
            return self._window[at]
        return self._stretch(place, place + 1)[0]

    def _stretch(self, start: int, stop: int) -> bytes:
        if stop - start > _WINDOW_BYTES:
            return self._read(start, stop)
        if not self._window_start <= start <= stop <= self._window_start + len(self._window):
            self._window = self._read(start, min(start + _WINDOW_BYTES, self._length))
            self._window_start = start
        return self._window[start - self._window_start : stop - self._window_start]

    def _read(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        pieces = []
        while start < stop:
            piece = self._file.read(stop - start)
            if not piece:
                raise BrokenContainer("became shorter while it was read")
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


Buffer = bytes | FileView
"""A file's bytes: in memory, or read where they are looked at."""


@contextlib.contextmanager
def viewed(path: Path) -> Iterator[FileView]:
    """The bytes of a file.

    Raises:
        BrokenContainer: it is empty.
        OSError: it can't be read.
    """
    with path.open("rb", buffering=0) as file:
        view = FileView(file)
        if not len(view):
            raise BrokenContainer("is empty")
        yield view


def first_match(data: Buffer, pattern: re.Pattern[bytes], start: int, *, width: int) -> int | None:
    """Where a pattern is first found; None where it is nowhere.

    Args:
        data: the file.
        pattern: what to look for.
        start: from where on.
        width: how many bytes the pattern takes; always as many.
    """
    for begin in range(start, len(data), READ_AT_ONCE):
        if found := pattern.search(data[begin : begin + READ_AT_ONCE + width - 1]):
            return begin + found.start()
    return None
