"""Where the bytes of a fetched file go: counted and hashed on the way, and never more than are allowed."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from engine.errors import EngineError
from engine.media.problems import TooLarge


class Sink:
    """An open file being received.

    Args:
        file: where the bytes go; can be sought and cut.
        max_bytes: how many it takes.
    """

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """The hash of what was written, as hex."""
        return self._hash.hexdigest()

    def expect(self, size_bytes: int) -> None:
        """Refuses a file by the length that is announced for it.

        Raises:
            TooLarge: it is more than is allowed.
        """
        if size_bytes > self._max_bytes:
            raise TooLarge(self._max_bytes)

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            TooLarge: with them it is more than is allowed.
            EngineError: this machine can't keep them (its disk is full); no fault of the caller's or the server's.
        """
        self.expect(self.size_bytes + len(chunk))
        self.size_bytes += len(chunk)
        self._hash.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise EngineError("the worker could not keep a file that it was sent", detail=str(error)) from error

    def restart(self) -> None:
        """Forgets everything, for a second try."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size_bytes = 0
