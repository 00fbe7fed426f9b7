"""A bound of time and a cancellation that hold for everything one fetch does, whatever it waits for.

The timeouts of sockets bound single waits alone: a server that sends one byte a second never meets them. Here a
thread watches, and shuts the fetch's connections down when its time is over or its job was cancelled.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from types import TracebackType
from typing import Self, TypeVar

from engine.cancellation import CancellationToken
from engine.media.problems import Passing

_LOOK_SECONDS = 0.1
"""Between two looks at the tokens."""

_Result = TypeVar("_Result")


class Watch:
    """Watches one fetch, from `with` to its end.

    Args:
        seconds: how long the fetch may take.
        tokens: any of them cancels it.
    """

    def __init__(self, seconds: float, tokens: Sequence[CancellationToken] = ()) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._tokens = tuple(tokens)
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._shut = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="fetch-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    @property
    def left(self) -> float:
        """Seconds that are left; never less than a thousandth, so that it can be a socket's timeout."""
        return max(self._deadline - time.monotonic(), 0.001)

    @property
    def ended(self) -> bool:
        """Whether the time is over or the job was cancelled."""
        return time.monotonic() >= self._deadline or any(token.cancelled for token in self._tokens)

    def check(self) -> None:
        """Goes on only while the fetch may.

        Raises:
            Cancelled: the job was cancelled.
            Unavailable: the time is over.
        """
        for token in self._tokens:
            token.raise_if_cancelled()
        if time.monotonic() >= self._deadline:
            raise Passing(
                f"could not be fetched within the {self._seconds:g} seconds that are allowed",
                hint="send a smaller file, or one on a faster server",
            )

    def guard(self, connection: socket.socket) -> None:
        """Takes a connection into care: it is shut down when the fetch has to end.

        A duplicate of its descriptor is kept, since TLS takes the socket itself over while it still shakes hands;
        a shutdown ends the connection for all duplicates.
        """
        with self._lock:
            self._connections.append(connection.dup())
            if self._shut:
                _shut_down(self._connections[-1])

    def pause(self, seconds: float) -> None:
        """Waits, and ends the wait with the fetch; raises as `check` does."""
        pause_end = time.monotonic() + seconds
        while (left := pause_end - time.monotonic()) > 0:
            self.check()
            self._done.wait(min(left, _LOOK_SECONDS))
        self.check()

    def run(self, function: Callable[[], _Result]) -> _Result:
        """Runs what can't be interrupted in a thread of its own, and waits for it only as long as the fetch may take.

        The thread is left behind when the fetch has to end; it must then end by itself.

        Raises:
            Cancelled: the job was cancelled.
            Unavailable: the time is over.
        """
        result: Future[_Result] = Future()

        def work() -> None:
            try:
                result.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                result.set_exception(error)

        threading.Thread(target=work, name="fetch-wait", daemon=True).start()
        while True:
            try:
                return result.result(min(_LOOK_SECONDS, self.left))
            except NotYet:
                if result.done():
                    # It raised a TimeoutError of its own.
                    return result.result()
                self.check()

    def _look(self) -> None:
        while not self._done.wait(min(_LOOK_SECONDS, self.left)):
            if self.ended:
                with self._lock:
                    self._shut = True
                    for connection in self._connections:
                        _shut_down(connection)
                return


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is not connected, or no longer
        connection.shutdown(socket.SHUT_RDWR)
