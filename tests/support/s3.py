"""A real S3 server on 127.0.0.1: `rclone serve s3`, which checks signatures."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# rclone refuses access keys that are very short.
ACCESS_KEY_ID = "TESTACCESSKEY"
SECRET_ACCESS_KEY = "test-secret-access-key"
BUCKET = "results"


@dataclass(frozen=True)
class S3Server:
    """A running server. `folder` holds a folder for each bucket."""

    endpoint_url: str
    folder: Path
    bucket: str = BUCKET
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY

    def options(self) -> dict[str, str]:
        """What S3Options needs to reach it."""
        return {
            "bucket": self.bucket,
            "endpoint_url": self.endpoint_url,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
        }


class Outages:
    """A server that goes away and comes back, on the same port and with the same objects.

    Attributes:
        server: where it is, or would be.
    """

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Let it serve; false if it can't."""
        port = int(self.server.endpoint_url.rsplit(":", 1)[1])
        self._process = _start(self.server.folder, port)
        return _answers(self._process, port)

    def stop(self) -> None:
        """Let it be gone: connections are refused."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@contextlib.contextmanager
def serve_s3_with_outages(folder: Path) -> Iterator[Outages]:
    """Serves a folder by S3 until the block ends, but where the test stops it; the bucket BUCKET exists."""
    (folder / BUCKET).mkdir(parents=True)
    # Ports can be taken between asking for a free one and using it.
    for _ in range(5):
        outages = Outages(S3Server(f"http://127.0.0.1:{free_port()}", folder))
        try:
            if outages.start():
                yield outages
                return
        finally:
            outages.stop()
    raise RuntimeError("rclone did not start serving")


@contextlib.contextmanager
def serve_s3(folder: Path) -> Iterator[S3Server]:
    """Serves a folder by S3 until the block ends; the bucket BUCKET exists."""
    with serve_s3_with_outages(folder) as outages:
        yield outages.server


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    beside_python = shutil.which("rclone", path=str(Path(sys.executable).parent))
    return subprocess.Popen(
        [
            beside_python or "rclone",
            "--config",
            os.devnull,
            "serve",
            "s3",
            "--auth-key",
            f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}",
            "--addr",
            f"127.0.0.1:{port}",
            str(folder),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)  # between two looks, bounded by the deadline
    return False
