"""A TCP proxy whose connections a test can cut, silence and delay."""

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit


class _Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.is_websocket = False
        self.swallows = False
        self.cut_at_answer = False

    def cut(self):
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class CuttableProxy:
    """Passes everything on to `target_url`, until told otherwise.

    Attributes:
        url: where it listens.
        requests: the method and path of each that passed, without what is behind a question mark, in order.
    """

    def __init__(self, target_url):
        target = urlsplit(target_url)
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = []
        self._lock = threading.Lock()
        self._connections = []
        self._threads = []
        self._refused_websockets = False
        self._lose_answer_to = None
        self._left = None
        self._then_swallow = False
        self._delay = 0.0
        self._spawn(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        for thread in list(self._threads):
            thread.join()

    def close(self):
        """Cut all connections and refuse new ones, as if the server were gone."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut(lambda _: True)

    def cut_websockets(self, *, for_good=False):
        """Cut the websockets there are; for good, those that come as well."""
        self._refused_websockets = for_good
        self._cut(lambda connection: connection.is_websocket)

    def swallow_websockets(self):
        """Let the websockets there are stand half-open: they stay, and nothing passes either way any more."""
        with self._lock:
            for connection in self._connections:
                connection.swallows = connection.swallows or connection.is_websocket

    def end_websockets_after(self, count, *, swallow=False):
        """Pass so many more bytes of ComfyUI's over websockets; then cut the one that sends more, or swallow."""
        with self._lock:
            self._left, self._then_swallow = count, swallow

    def delay_websockets(self, seconds):
        """Pass everything of ComfyUI's over websockets so much later."""
        self._delay = seconds

    def websockets(self):
        """How many websockets there are."""
        with self._lock:
            return sum(connection.is_websocket for connection in self._connections)

    def lose_answer_to(self, request_line):
        """Deliver the next request that begins so, and cut the connection when its answer comes."""
        self._lose_answer_to = request_line

    def _cut(self, which):
        with self._lock:
            chosen = [connection for connection in self._connections if which(connection)]
        for connection in chosen:
            connection.cut()

    def _spawn(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            connection = _Connection(client, server)
            with self._lock:
                self._connections.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection):
        back = threading.Thread(target=self._answers, args=(connection,), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := connection.client.recv(65536):
                if data.startswith((b"GET /", b"POST /")):  # a head begins a chunk of its own
                    self.requests.append(data.split(b" HTTP/")[0].split(b"?")[0].decode())
                if data.startswith(b"GET /ws"):
                    connection.is_websocket = True
                    if self._refused_websockets:
                        break
                if self._lose_answer_to and data.startswith(self._lose_answer_to):
                    self._lose_answer_to = None
                    connection.cut_at_answer = True
                if not connection.swallows:
                    connection.server.sendall(data)
        connection.cut()
        back.join()
        connection.client.close()
        connection.server.close()
        with self._lock:
            self._connections.remove(connection)

    def _answers(self, connection):
        with contextlib.suppress(OSError):
            while data := connection.server.recv(65536):
                if connection.cut_at_answer:
                    break
                if connection.is_websocket:
                    if self._delay:
                        time.sleep(self._delay)
                    data = self._allowed(connection, data)
                    if data is None:
                        break
                if not connection.swallows:
                    connection.client.sendall(data)
        connection.cut()

    def _allowed(self, connection, data):
        """What of the data may still pass; None once the connection is to be cut."""
        with self._lock:
            if self._left is None:
                return data
            passed, self._left = data[: self._left], self._left - len(data)
            if self._left >= 0:
                return passed
            self._left = None  # the next connection is a new one
        if not connection.swallows:
            with contextlib.suppress(OSError):
                connection.client.sendall(passed)
        connection.swallows = True
        return b"" if self._then_swallow else None
