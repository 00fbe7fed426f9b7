"""Google Cloud Storage on 127.0.0.1: an emulator, and a service account with its own source of tokens."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = "results"
EMAIL = "worker@project.iam.gserviceaccount.com"


class GCSOutages:
    """An emulator that goes away and comes back, on the same port and with the same objects.

    Attributes:
        url: where it is, or would be.
    """

    def __init__(self) -> None:
        from gcp_storage_emulator.handlers.buckets import create_bucket
        from gcp_storage_emulator.storage import Storage

        self._storage = Storage(use_memory_fs=True)
        create_bucket(BUCKET, self._storage)
        self._stack = contextlib.ExitStack()
        self._port = 0
        self.url = ""

    def start(self) -> None:
        """Let it serve."""
        from functools import partial

        from gcp_storage_emulator.server import RequestHandler

        # Its handler, in a server that takes any free port.
        server = HTTPServer(("127.0.0.1", self._port), partial(RequestHandler, self._storage))
        self.url = self._stack.enter_context(serving(server))
        self._port = server.server_port

    def stop(self) -> None:
        """Let it be gone: connections are refused."""
        self._stack.close()


@contextlib.contextmanager
def serve_gcs_with_outages() -> Iterator[GCSOutages]:
    """Serves the bucket BUCKET until the block ends, but where the test stops it. It checks no credentials."""
    outages = GCSOutages()
    outages.start()
    try:
        yield outages
    finally:
        outages.stop()


@contextlib.contextmanager
def serve_gcs() -> Iterator[str]:
    """Serves the bucket BUCKET until the block ends; gives the server's URL."""
    with serve_gcs_with_outages() as outages:
        yield outages.url


@contextlib.contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Runs a server in a thread until the block ends; gives its URL."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Scripted(BaseHTTPRequestHandler):
    """Answers each request with the next of the server's `answers` (status, body), and the last ever after.

    The server's `seen` keeps the method, the path and the headers of each.
    """

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_CONNECT = answer  # noqa: N815 - http.server's names

    def log_message(self, *args):
        pass


def scripted(*answers: tuple[int, object]) -> ThreadingHTTPServer:
    """A server that answers as told, on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.answers, server.seen = list(answers), []
    return server


def key_file(folder: Path, token_uri: str) -> Path:
    """The key file of a service account made on the spot; tokens come from `token_uri`."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "account.json"
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "project",
                "private_key_id": "0123456789",
                "private_key": private.decode(),
                "client_email": EMAIL,
                "token_uri": token_uri,
            }
        )
    )
    return path


TOKEN = (200, {"access_token": "the-token", "expires_in": 3600, "token_type": "Bearer"})
