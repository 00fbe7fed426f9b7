"""comfy-cli as a process: found, run apart from all else, bounded, ended."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.ui_format.problems import NotConverted

_PROGRAM = "comfy"

# Far above what 5000 nodes take (100 MB, 3 MB): a graph was made to be a burden, or the program runs wild.
_MOST_MEMORY = 2 * 1024**3
_LONGEST_OUTPUT = 64 * 1024**2
_NOWHERE = "http://127.0.0.1:9"  # the port of discard, which nothing listens on
_LOOK_SECONDS = 0.02


def find_program() -> Path | None:
    """comfy-cli: beside the Python that runs us, else on PATH; None where it is not installed."""
    beside = Path(sys.executable).parent / _PROGRAM
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(_PROGRAM)
    return Path(found) if found else None


def printed(program: Path, workflow: bytes, *, port: int, seconds: float, cancel: CancellationToken) -> str:
    """What comfy-cli prints of a workflow in place of queueing it.

    It sees nothing of this machine but the file and the port: a home of its own, no settings, no network. It sends
    no telemetry and looks for no updates (comfy-cli 1.23: `DO_NOT_TRACK`, `COMFY_NO_TELEMETRY`).

    Args:
        program: the executable.
        workflow: the file's content.
        port: where `/object_info` is served on 127.0.0.1.
        seconds: how long it may take.
        cancel: ends it.

    Raises:
        NotConverted: it can't be started, takes too long, or ends without a word.
        Cancelled: the job was cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="ui-format-") as name:
        folder = Path(name)
        (folder / "workflow.json").write_bytes(workflow)
        (folder / "home").mkdir()
        arguments = ["--json", "run", "--print-prompt", "--workflow", "workflow.json"]
        with (folder / "said").open("wb") as said, (folder / "complained").open("wb") as complained:
            try:
                process = subprocess.Popen(  # noqa: S603 - the program is the operator's, the graph goes by a file
                    [str(program), *arguments, "--host", "127.0.0.1", "--port", str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=complained,
                    cwd=folder,
                    env=_environment(program, folder / "home"),
                    start_new_session=True,  # so that it ends with all that it may have started
                )
            except OSError as error:
                raise NotConverted(f"comfy-cli can't be started: {error.strerror}") from error
            try:
                _bound(process.pid, seconds)
                _wait(process, seconds, cancel)
            finally:
                _end(process)
        text = (folder / "said").read_text(errors="replace")
        if not text.strip():
            detail = (folder / "complained").read_text(errors="replace")[-2000:]
            message = f"comfy-cli ended with status {process.returncode} and said nothing; it has to be 1.23 or newer"
            raise NotConverted(message, detail=detail)
        return text


def _environment(program: Path, home: Path) -> dict[str, str]:
    proxies = {name: _NOWHERE for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())}
    return {
        "PATH": os.pathsep.join([str(program.parent), os.defpath]),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "DO_NOT_TRACK": "1",
        "COMFY_NO_TELEMETRY": "1",
        "COMFY_WHERE": "local",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **proxies,
    }


def _bound(pid: int, seconds: float) -> None:
    """What the process may use; where the system has no such bounds, its time is bounded all the same."""
    if not hasattr(resource, "prlimit"):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_LONGEST_OUTPUT, _LONGEST_OUTPUT))
        resource.prlimit(pid, resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))


def _wait(process: subprocess.Popen[bytes], seconds: float, cancel: CancellationToken) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise NotConverted(f"comfy-cli took more than {seconds:g} seconds and was stopped")
        cancel.wait(_LOOK_SECONDS)
        cancel.raise_if_cancelled()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
