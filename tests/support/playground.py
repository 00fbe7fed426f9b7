"""The local server in a process of its own, as `engine serve` starts it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from support.command import ENGINE
from support.processes import ended
from support.workflows import ROOT

CHECKPOINT = "random_sd15.safetensors"  # of random weights; the ComfyUI of the tests has it
_CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


@dataclass(frozen=True)
class Playground:
    """A local server: its URL without a slash at the end, its process, and the folder it keeps everything in."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text()


def workflows_of_the_tests(folder: Path) -> Path:
    """Write those workflows of this repository that need a checkpoint of Stable Diffusion, or no model, to a folder.

    The checkpoint is the one of random weights that the ComfyUI of the tests has.
    """
    for name in ("txt2img", "img2img", "inpaint", "resize"):
        for part in ("templates", "schemas"):
            (folder / part).mkdir(parents=True, exist_ok=True)
            text = (ROOT / part / f"{name}.json").read_text()
            (folder / part / f"{name}.json").write_text(text.replace(_CHECKPOINT, CHECKPOINT))
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, port: int | None = None, **environment: str) -> Iterator[Playground]:
    """`engine serve` with this repository's workflows, once it answers and until the block ends.

    Args:
        folder: holds queue, uploads, results and log; that of an earlier one continues it, as a restart does.
        arguments: more of the command's.
        port: where it listens; a free one by default.
        environment: COMFY_URL, API_TOKEN, ….
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    own = {"API_FOLDER": str(folder / "kept"), "OUTPUT_FOLDER": str(folder / "results")}
    own |= {"SPOOL_PATH": str(folder / "spool"), "JOURNAL_PATH": "off", "PYTHONUNBUFFERED": "1"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [ENGINE, "serve", "--port", str(port), *arguments],
            env=kept | own | environment,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    playground = Playground(f"http://127.0.0.1:{port}", process, folder)
    with ended(process, 20):
        _wait_for(playground)
        yield playground


def _wait_for(playground: Playground) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(f"{playground.url}/server", timeout=30)
            return
        assert playground.process.poll() is None, playground.log
        assert time.monotonic() < deadline, f"it never answered: {playground.log}"
        time.sleep(0.02)
