"""Workers, each in a process of its own as a pod has it, that take the same jobs from a queue: ours and any other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reporting import Failed
from support.runpod_queue import RunPodQueue
from support.s3 import S3Server
from support.workflows import write_workflow
from under_test import HERE, UnderTest, own_environment, sleep_graph

ROOT = HERE.parent
_START_SECONDS = 120
_LOOK_SECONDS = 0.5  # between two looks whether a worker still runs; a result is seen at once
GRAPH = '"{graph}"'

# A job's input, made of its number and the seconds that it sleeps.
Input = Callable[[int, float], Any]
# Waits so many seconds at most for something; raises TimeoutError.
Wait = Callable[[float], Any]


@dataclass(frozen=True)
class Contender:
    """A worker to be measured.

    Attributes:
        name: in tables and plots.
        command: what starts it, with {comfy_host}, {comfy_port} and {comfy_url} where it wants them.
        job_input: makes what a job of it is asked for.
        environment: what it is told, by the ComfyUI and the bucket that it has.
    """

    name: str
    command: Sequence[str]
    job_input: Input
    environment: Callable[[UnderTest, S3Server | None], dict[str, str]] = field(repr=False)

    def filled(self, comfy: UnderTest) -> list[str]:
        """The command for that ComfyUI."""
        place = urlsplit(comfy.url)
        known = {"{comfy_url}": comfy.url, "{comfy_host}": place.hostname or "", "{comfy_port}": str(place.port)}
        return [re.sub(r"\{comfy_(url|host|port)\}", lambda mark: known[mark[0]], word) for word in self.command]


def ours(folder: Path) -> Contender:
    """The engine's worker, as RunPod starts it; ComfyUI's disk is its own where it is the benchmark's.

    Args:
        folder: takes its workflow and its journal.
    """
    parameters = {
        "seconds": {"type": "number", "minimum": 0, "required": True, "bind": "$['5'].inputs.seconds"},
        "seed": {"type": "integer", "required": True, "bind": "$['5'].inputs.seed"},
    }
    write_workflow(folder / "workflows", "sleep", sleep_graph(0, 1.0), {"parameters": parameters})

    def environment(comfy: UnderTest, bucket: S3Server | None) -> dict[str, str]:
        own = {
            "COMFY_URL": comfy.url,
            "WORKFLOWS_PATH": str(folder / "workflows"),
            "JOURNAL_PATH": str(folder / "journal"),
            # A RunPod worker's ComfyUI is on its own disk.
            **({"COMFY_FOLDER": str(comfy.base)} if comfy.base else {}),
        }
        options = bucket.options() if bucket else {}
        return own | {f"S3_{name.upper()}": value for name, value in options.items()}

    return Contender(
        "this worker",
        [sys.executable, "-u", str(ROOT / "handler.py")],
        lambda number, seconds: {"workflow": "sleep", "payload": {"seconds": seconds, "seed": number}},
        environment,
    )


def plain() -> Contender:
    """The common worker (plain_worker.py)."""
    return peer("plain worker", shlex.join([sys.executable, "-u", str(HERE / "plain_worker.py")]))


def peer(name: str, command: str, template: str | None = None) -> Contender:
    """Any other worker.

    Args:
        name: in tables and plots.
        command: what starts it.
        template: JSON of a job's input, in which the text "{graph}" stands for the graph.

    Raises:
        ValueError: the template has no place for the graph, or is no JSON; the command is none.
    """
    if not (words := shlex.split(command)):
        raise ValueError("it wants a command")
    text = template or '{"workflow": "{graph}"}'
    if GRAPH not in text:
        raise ValueError(f"the template of {name}'s input needs {GRAPH} where the graph is to be")
    _filled(text, {})

    def environment(comfy: UnderTest, bucket: S3Server | None) -> dict[str, str]:
        place = urlsplit(comfy.url)
        own = {"COMFY_URL": comfy.url, "COMFY_HOST": f"{place.hostname}:{place.port}", "COMFY_PORT": str(place.port)}
        if bucket:
            own |= {
                "BUCKET_ENDPOINT_URL": bucket.endpoint_url,
                "BUCKET_ACCESS_KEY_ID": bucket.access_key_id,
                "BUCKET_SECRET_ACCESS_KEY": bucket.secret_access_key,
                "BUCKET_NAME": bucket.bucket,
            }
        return own

    return Contender(name, words, lambda number, seconds: _filled(text, sleep_graph(number, seconds)), environment)


def _filled(template: str, graph: dict[str, Any]) -> Any:
    return json.loads(template.replace(GRAPH, json.dumps(graph)))


@contextlib.contextmanager
def running(
    contender: Contender, comfys: Sequence[UnderTest], queue: RunPodQueue, bucket: S3Server | None, folder: Path
) -> Iterator[list[str]]:
    """One worker for each ComfyUI, until the block ends; when it begins, all of them have asked for a job.

    Args:
        contender: the worker.
        comfys: one for each of them.
        queue: that all work for.
        bucket: where results go; None leaves them in the replies.
        folder: takes their logs.

    Yields:
        What waits for something of the queue, of which it gets the seconds to wait, as long as all of them run.

    Raises:
        Failed: one can't be started, ended, or did not do in time what was waited for; the end of its log is in the
            message.
    """
    pods = [f"pod-{number}" for number in range(1, len(comfys) + 1)]
    processes: list[subprocess.Popen[bytes]] = []

    def failed(what: str) -> Failed:
        return Failed(f"{contender.name} {what}; its log ends with:\n{log_end(contender, folder)}")

    def wait(look: Wait, seconds: float, what: str = "gave no result of a job") -> Any:
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(TimeoutError):
                return look(_LOOK_SECONDS)
            if ended := [process.returncode for process in processes if process.poll() is not None]:
                raise failed(f"ended by itself, with status {ended[0]}")
            if time.monotonic() > until:
                raise failed(f"{what} within {seconds:g} s")

    with contextlib.ExitStack() as stack:
        for pod, comfy in zip(pods, comfys, strict=True):
            environment = own_environment(**queue.environment(pod=pod), **contender.environment(comfy, bucket))
            environment |= {"RUNPOD_LOG_LEVEL": "ERROR"}
            try:
                process = _process(contender.filled(comfy), environment, _log(contender, folder, pod))
                processes.append(stack.enter_context(process))
            except OSError as error:
                raise Failed(f"{contender.name} can't be started: {error}") from error
        wait(lambda seconds: queue.wait_pods(len(pods), seconds), _START_SECONDS, "did not ask for a job")
        yield wait


def log_end(contender: Contender, folder: Path, lines: int = 12) -> str:
    """The last lines of its logs."""
    texts = [log.read_text(errors="replace") for log in sorted(folder.glob(_log(contender, folder, "*").name))]
    return "\n".join("\n".join(text.splitlines()[-lines:]) for text in texts)


def _log(contender: Contender, folder: Path, pod: str) -> Path:
    # What a reader calls a peer need not be a name of a file.
    return folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', contender.name)}-{pod}.log"


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str], log_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log_file.open("ab") as log:
        # A group of its own: what a shell started ends with it.
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # All is answered by now, and its last wait for a job is not to be waited for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
