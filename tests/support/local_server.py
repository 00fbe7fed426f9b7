"""A local server in a process of its own, on the simulator, for tests of its routes."""

import contextlib
import os
import subprocess
import sys
import time

import requests
from support.s3 import free_port
from support.workflows import ROOT


class LocalServer:
    """One that runs: `url`, and requests below it."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.session = requests.Session()

    def get(self, path, **options):
        return self.session.get(self.url + path, timeout=30, **options)

    def post(self, path, document=None, **options):
        return self.session.post(
            self.url + path, timeout=30, **({"json": document} if document is not None else {}), **options
        )

    def delete(self, path):
        return self.session.delete(self.url + path, timeout=30)


@contextlib.contextmanager
def local_server(folder, *, workflows=ROOT, **settings):
    """A server whose data lies below the folder; settings as environment variables."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = {
        **kept,
        "WORKFLOWS_PATH": str(workflows),
        "API_FOLDER": str(folder / "api"),
        "OUTPUT_FOLDER": str(folder / "out"),
        **settings,
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "serve", "--port", str(port)],
            env=environment,
            stderr=log,
            stdout=log,
            cwd=folder,
        )
        server = LocalServer(f"http://127.0.0.1:{port}", folder)
        try:
            _wait(server, process)
            yield server
        finally:
            server.session.close()
            process.terminate()
            process.wait(30)


def _wait(server, process):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, (server.folder / "server.log").read_text()
        with contextlib.suppress(requests.ConnectionError):
            server.session.get(f"{server.url}/server", timeout=5)
            return
        time.sleep(0.05)
    raise AssertionError((server.folder / "server.log").read_text())
