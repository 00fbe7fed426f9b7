"""Start a ComfyUI, watch it, stop it."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.comfyui.client import ComfyClient
from engine.comfyui.process_log import ProcessLog
from engine.errors import ComfyUnavailable
from engine.installations import venv_python

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# Becomes ComfyUI under the same process id; before, it asks Linux to end it when its parent ends, however
# that happens (prctl(2), PR_SET_PDEATHSIG = 1). execv keeps the request.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class ComfyProcess:
    """A ComfyUI of our own: in its own process group, ended with us at the latest.

    Args:
        home: where ComfyUI is installed: the folder of its `main.py`.
        python: the interpreter to run it with; left out, that of `.venv` or `venv` in `home`, else ours.
        port: on 127.0.0.1; left out, a free one. It stays the same through a restart.
        args: further arguments of ComfyUI (`--cpu`).
        log_file: takes what ComfyUI prints; appended to, and begun anew when it is long.
        start_timeout: seconds it may take until it answers (node packs load, models do not).
        stop_timeout: seconds it may take to end before it is killed.
    """

    def __init__(
        self,
        home: Path,
        *,
        python: Path | None = None,
        port: int | None = None,
        args: Sequence[str] = (),
        log_file: Path,
        start_timeout: float = 300.0,
        stop_timeout: float = 10.0,
    ) -> None:
        self.home = home
        self.port = port or _free_port()
        self.log = ProcessLog(log_file)
        self.start_timeout = start_timeout
        self.stop_timeout = stop_timeout
        self._python = _from_here(python or venv_python(home) or Path(sys.executable))
        self._args = tuple(args)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._ended.set()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None before the start and after the stop."""
        return self._process.pid if self._process else None

    @property
    def status(self) -> int | None:
        """What it ended with, below 0 the signal that killed it; None while it runs, and after `stop`."""
        return self._process.poll() if self._process else None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, by itself or by `stop`; false if it has not within that time."""
        return self._ended.wait(seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *, launched: Callable[[], None] = lambda: None) -> None:
        """Start it and wait until it answers; nothing happens if it runs.

        Args:
            launched: called once its process runs, before it is waited for.

        Raises:
            ComfyUnavailable: it is not installed there, its port is taken, it ended, or it did not answer in
                time. The last lines of its log are in the error's `detail`.
        """
        if self.alive:
            return
        if not (self.home / "main.py").is_file():
            raise ComfyUnavailable(
                "COMFY_HOME has no main.py, so ComfyUI is not installed there",
                hint="set COMFY_HOME to the folder that ComfyUI was cloned into",
                detail=str(self.home),
            )
        if _taken(self.port):
            raise ComfyUnavailable(
                f"ComfyUI can't be started: something listens on port {self.port} already",
                hint="if it is a ComfyUI, set COMFY_URL to it; else choose another port",
            )
        self._launch()
        atexit.register(self.stop)
        launched()
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and what it started, gently first. Returns when it is gone."""
        atexit.unregister(self.stop)
        process = self._process
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        try:
            process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            if not self._ended.wait(self.stop_timeout):
                # As while it waits for a driver that does not answer: no signal reaches it then.
                log.error("ComfyUI (process %d) can't be killed, and is left", process.pid)
                return
        self._ended.wait()
        self._process = None

    def kill(self) -> None:
        """End it and what it started at once, as when it no longer answers; returns before it is gone."""
        process = self._process
        if process is not None:
            _signal(process, _SIGKILL)

    def restart(self) -> None:
        """Stop it and start it on the same port."""
        self.stop()
        self.start()

    def _launch(self) -> None:
        """Start the process from a thread that lives as long as it does.

        Linux sends the parent-death signal when the *thread* that started a process ends, so a thread of a
        pool must not be the one.
        """
        command = [
            *(str(self._python), "-c", _DIE_WITH_PARENT, str(os.getpid()), "main.py"),
            *("--listen", "127.0.0.1", "--port", str(self.port), "--disable-auto-launch"),
            *self._args,
        ]
        try:
            log = self.log.begin()
        except OSError as error:
            raise ComfyUnavailable(
                f"ComfyUI can't be started: its log can't be written: {error.strerror}",
                hint="set COMFY_LOG to a file that can be",
                detail=str(error),
            ) from error
        started = threading.Event()
        failures: list[Exception] = []

        def run() -> None:
            try:
                with log:
                    process = subprocess.Popen(  # noqa: S603 (the operator's own COMFY_HOME)
                        command,
                        cwd=self.home,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        # A segmentation fault then tells in the log where it happened.
                        env={"PYTHONFAULTHANDLER": "1", **os.environ},
                        start_new_session=True,
                    )
            except Exception as error:  # noqa: BLE001 - raised below; ValueError, for arguments that no process can have
                failures.append(error)
                started.set()
                return
            self._process = process
            self._ended.clear()
            started.set()
            process.wait()
            # What it started may outlive it, and hold its port or the GPU's memory.
            _signal_group(process.pid, _SIGKILL)
            self._ended.set()

        threading.Thread(target=run, name="comfyui-process", daemon=True).start()
        started.wait()
        if failures:
            raise ComfyUnavailable(
                f"ComfyUI can't be started: {getattr(failures[0], 'strerror', None) or type(failures[0]).__name__}",
                hint="check COMFY_HOME and the Python that ComfyUI is to run with",
                detail=str(failures[0]),
            ) from failures[0]

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        client = ComfyClient(self.url, connect_timeout=1.0, read_timeout=5.0)
        with contextlib.closing(client):
            while True:
                if not self.alive:
                    raise self._failed(f"ended at once with status {self.status}")
                try:
                    client.system_stats()
                except ComfyUnavailable:
                    if time.monotonic() > deadline:
                        raise self._failed(f"did not answer within {self.start_timeout:g} s") from None
                    time.sleep(_LOOK_SECONDS)
                else:
                    return

    def _failed(self, what: str) -> ComfyUnavailable:
        return ComfyUnavailable(
            f"ComfyUI was started and {what}",
            hint=f"its log, {self.log.path.name}, says why",
            detail=f"{self.log.path}:\n{self.log.telling()}",
        )


def _from_here(python: Path) -> Path:
    # ComfyUI is started in its own folder; a bare name is one of PATH.
    return python.absolute() if len(python.parts) > 1 else python


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    # Its group, so that what it started ends too. The group has its id: it began a session of its own.
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        _signal_group(process.pid, number)
    else:
        process.terminate()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(group, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
