"""A way to a server that is slow, silent or broken, as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit


class Wire:
    """Passes on what clients and the server say.

    Attributes:
        url: where it listens.
        silent: take nothing of what a client sends, and answer nothing, while this is set.
        mute: pass on what a client sends, and keep the answers, while this is set.
        cuts: how many of the next connections break after so many bytes of the client's: `[1000, 1000]`.
        pause: seconds before each piece of 64 KiB is passed on to the server.
        passed: bytes that went to the server.
        connected: clients that came.
    """

    def __init__(self, target_url: str) -> None:
        target = urlsplit(target_url)
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.silent = self.mute = False
        self.cuts: list[int] = []
        self.pause = 0.0
        self.passed = self.connected = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def close(self) -> None:
        """Ends every connection."""
        self._stopping.set()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def _spawn(self, target, *arguments) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.connected += 1
                self._spawn(self._carry, client, self.cuts.pop(0) if self.cuts else None)

    def _carry(self, client: socket.socket, cut_after: int | None) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target) as server:
            for end in (client, server):
                end.settimeout(0.02)
            taken = 0
            while not self._stopping.is_set():
                if not self.silent:
                    if (data := received(client)) == b"":
                        return
                    if data:
                        if self.pause:
                            time.sleep(self.pause)  # a slow line
                        taken += len(data)
                        server.sendall(data)
                        self.passed += len(data)
                    if cut_after is not None and taken > cut_after:
                        return
                if not self.mute and not self.silent:
                    if (data := received(server)) == b"":
                        return
                    if data:
                        client.sendall(data)


def received(connection: socket.socket) -> bytes | None:
    """What came; None for nothing yet, empty for the end."""
    try:
        return connection.recv(65536)
    except TimeoutError:
        return None


@contextlib.contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire until the block ends."""
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
