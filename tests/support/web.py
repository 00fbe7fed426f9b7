"""Web servers on 127.0.0.1, well-behaved and hostile."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USE = "keyUsage=digitalSignature,keyCertSign"

Answer = Callable[[BaseHTTPRequestHandler], None]


class WebServer(ThreadingHTTPServer):
    """Answers each path by a function, and remembers what it was asked.

    `answers` maps a path, without its query, to a function that is given the request's handler; `requests` holds
    path and headers of every request; `stopping` is set when the server ends, so that slow answers end too.
    """

    daemon_threads = True
    block_on_close = True

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.stopping = threading.Event()
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def serve(self, path: str, content: bytes, *, status: int = 200, **headers: str) -> str:
        """Answer a path with content; gives the URL."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.answer(path, lambda handler: reply(handler, content, status, sent))

    def answer(self, path: str, answer: Answer) -> str:
        """Answer a path by a function; gives the URL."""
        self.answers[path] = answer
        return f"{self.url}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer:
            answer(self)
        else:
            reply(self, b"gone", 404, {})

    def log_message(self, *args: object) -> None:
        """Nothing."""


def reply(handler: BaseHTTPRequestHandler, content: bytes, status: int, headers: dict[str, str]) -> None:
    """Answer with content; its length is told unless a header says otherwise."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def drip(start: bytes, more: bytes) -> Answer:
    """Sends a start, and then a little every 50 ms until the server ends or the client hangs up."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not handler.server.stopping.wait(0.05):
            handler.wfile.write(more)

    return answer


@contextlib.contextmanager
def serve_web(certificate: Path | None = None) -> Iterator[WebServer]:
    """Serve until the block ends; by https with a file that holds a certificate and its key."""
    server = WebServer(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serve_raw(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that says to each connection whatever it likes; gives `http://127.0.0.1:PORT`."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)

        def talk_and_close(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                connection.recv(65536)
                talk(connection, stopping)

        def accept() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=talk_and_close, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            for thread in [accepting, *threads]:
                thread.join()


def make_certificate(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Path:
    """A certificate for names that vouches for itself, with its key, in one file."""
    both, key, certificate = folder / "both.pem", folder / "key.pem", folder / "certificate.pem"
    request = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext {USE}"
    subprocess.run(
        ["openssl", *request.split(), "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both
