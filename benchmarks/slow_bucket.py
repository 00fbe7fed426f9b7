"""A bucket that is some way off: a real S3 server behind a proxy that lets each request wait, whatever its size."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from support.s3 import S3Server, serve_s3

_METHODS = (b"GET ", b"PUT ", b"POST ", b"HEAD ", b"DELETE ")
_CHUNK = 1 << 16


@contextlib.contextmanager
def serve_slow_bucket(folder: Path, delay_seconds: float) -> Iterator[S3Server]:
    """Serves a folder by S3 until the block ends.

    Args:
        folder: of the objects.
        delay_seconds: that every request takes longer. A new connection costs nothing more, as it would with TLS.
    """
    with serve_s3(folder) as server:
        # Where workers put things that use the SDK's helper (runpod 1.12, rp_upload.py): a bucket for each month.
        (folder / time.strftime("%m-%y")).mkdir()
        if not delay_seconds:
            yield server
            return
        with _SlowProxy(server.endpoint_url, delay_seconds) as url:
            yield replace(server, endpoint_url=url)


class _SlowProxy:
    def __init__(self, target_url: str, delay_seconds: float) -> None:
        target = urlsplit(target_url)
        self._target = (target.hostname, target.port)
        self._delay = delay_seconds
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            _end(each)
        for thread in self._threads:
            thread.join()

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, name="slow-bucket", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            self._open |= {client, server}
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            # A request's head begins a chunk of its own: a client sends it once it has the answer to the one before.
            _pass_on(client, server, lambda data: time.sleep(self._delay) if data.startswith(_METHODS) else None)
            back.join()
            self._open -= {client, server}


def _pass_on(source, target, before=lambda _: None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            before(data)
            target.sendall(data)
    _end(source)
    _end(target)


def _end(connection) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
