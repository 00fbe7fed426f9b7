"""Uploads under way, watched: one whose job was cancelled, or that does not get on, has its connection cut.

A token can be looked at between two pieces of a body, but not while the client waits for a server that takes nothing,
or answers a byte at a time: its own timeouts begin anew with each byte. So one thread looks at every transfer ten times
a second, for as long as there are any, and shuts the socket down where it has to; the client then finds its connection
broken.

It leans on what urllib3 (2.7) makes known: a pool manager's `pool_classes_by_scheme`, a pool's `ConnectionCls`, and of
a connection `request` and http.client's `sock`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from engine.cancellation import CancellationToken

_LOOK_SECONDS = 0.1

_SLOWEST = 16 * 1024
"""Bytes in a second. Sixteen connections at once then share some 2 Mbit/s; what is slower is a server that drips."""

SILENCE_SECONDS = 30.0
"""The longest that a server may take nothing of a body, or owe its answer once it has it all."""


class Transfer:
    """One try to send something, from one thread.

    Args:
        cancel: of the job.
        silence_seconds: without any piece of the body taken, after which the connection is cut.

    Attributes:
        was_cut: its connection was shut down. What looks like an answer then may be the beginning of one: http.client
            takes the end of the connection for that of the headers.
    """

    def __init__(self, cancel: CancellationToken, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._cancel = cancel
        self._silence_seconds = silence_seconds
        self._began = self._moved = time.monotonic()
        self._bytes = 0
        self._connection: Any = None
        self._socket: Any = None
        self.was_cut = False

    @property
    def silent_seconds(self) -> float:
        """Since a piece of the body was last taken; without a body, since the beginning."""
        return time.monotonic() - self._moved

    def begin(self) -> None:
        """It begins only now, after a wait for its turn."""
        self._began = self._moved = time.monotonic()

    def moved(self, count: int) -> None:
        """So many bytes more were taken.

        Raises:
            Cancelled: the job was cancelled.
        """
        self._cancel.raise_if_cancelled()
        self._bytes += count
        self._moved = time.monotonic()

    def allow_silence(self, seconds: float) -> None:
        """Lets the server be without a sign of life for longer, where an answer takes its time."""
        self._silence_seconds = max(self._silence_seconds, seconds)

    def carried_by(self, connection: Any) -> None:
        """The connection that the thread's next request goes over."""
        self._connection, self._socket = connection, None
        connection.transfer = self

    def sent(self) -> None:
        """The request was sent. The connection forgets its socket with the head of an answer that ends with it."""
        self._socket = self._connection.sock

    def is_over(self) -> bool:
        """Whether it is to be cut: its job was cancelled, or it does not get on."""
        slow = time.monotonic() - self._began > self._silence_seconds + self._bytes / _SLOWEST
        return self._cancel.cancelled or slow or self.silent_seconds > self._silence_seconds

    def cut(self) -> None:
        """Shuts its socket down, which ends every wait for it. Does nothing while there is none."""
        connection = self._connection
        # A connection may already serve the next transfer.
        if connection is None or connection.transfer is not self:
            return
        if isinstance(found := connection.sock or self._socket, socket.socket):
            with contextlib.suppress(OSError):
                # Not the method of a TLS socket, which would let its other thread go on unencrypted.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
                self.was_cut = True


class Body:
    """A file, or a stretch of one, as a client reads it to send it.

    Args:
        file: open; nobody else moves in it.
        transfer: is told of every piece.
        start: of the stretch.
        length: of the stretch.
    """

    def __init__(self, file: BinaryIO, transfer: Transfer, *, start: int = 0, length: int) -> None:
        self._file = file
        self._transfer = transfer
        self._start = start
        self._length = length
        file.seek(start)

    def read(self, size: int | None = -1) -> bytes:
        """The next piece.

        Raises:
            Cancelled: the job was cancelled.
        """
        left = self._length - self.tell()
        piece = self._file.read(left if size is None or size < 0 else min(size, left))
        self._transfer.moved(len(piece))
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves within the stretch."""
        base = {0: 0, 1: self.tell(), 2: self._length}[whence]
        return self._file.seek(self._start + max(base + offset, 0)) - self._start

    def tell(self) -> int:
        """Where in the stretch."""
        return self._file.tell() - self._start

    def seekable(self) -> bool:
        """Yes: it can be read anew."""
        return True

    @property
    def length(self) -> int:
        """The bytes of the stretch."""
        return self._length

    @property
    def was_read(self) -> bool:
        """Whether all of it was taken: the server may have it."""
        return self.tell() >= self._length


_here = threading.local()


@contextlib.contextmanager
def watched(transfer: Transfer) -> Iterator[Transfer]:
    """Cuts what this thread sends in the block by a cuttable connection, when the transfer says so."""
    _here.transfer = transfer
    _watch.add(transfer)
    try:
        yield transfer
    finally:
        _watch.remove(transfer)
        _here.transfer = None


def cuttable(pool: Any) -> Any:
    """A class of pools like another of urllib3's, whose connections a transfer can cut."""
    plain = pool.ConnectionCls

    def request(connection: Any, *arguments: Any, **options: Any) -> None:
        transfer = getattr(_here, "transfer", None)
        if transfer is not None:
            transfer.carried_by(connection)
        plain.request(connection, *arguments, **options)
        if transfer is not None:
            transfer.sent()

    watched_kind = type(f"Cuttable{plain.__name__}", (plain,), {"request": request, "transfer": None})
    return type(f"Cuttable{pool.__name__}", (pool,), {"ConnectionCls": watched_kind})


def make_cuttable(manager: Any) -> None:
    """Makes the connections of a pool manager of urllib3's cuttable; it has none yet."""
    manager.pool_classes_by_scheme = {scheme: cuttable(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


class _Watch:
    """The thread that looks; it ends when there is nothing left to look at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transfers: set[Transfer] = set()
        self._pause = threading.Event()  # never set: a wait alone
        self._runs = False

    def add(self, transfer: Transfer) -> None:
        with self._lock:
            if not self._runs:
                # It waits for the lock. Where it can't be started, the next transfer has it tried again.
                threading.Thread(target=self._look, name="transfers", daemon=True).start()
                self._runs = True
            self._transfers.add(transfer)

    def remove(self, transfer: Transfer) -> None:
        # Under the lock: a transfer that has ended is never cut.
        with self._lock:
            self._transfers.discard(transfer)

    def _look(self) -> None:
        while True:
            with self._lock:
                if not self._transfers:
                    self._runs = False
                    return
                for transfer in self._transfers:
                    if transfer.is_over():
                        transfer.cut()
            self._pause.wait(_LOOK_SECONDS)


_watch = _Watch()
