"""The ComfyUI that is measured, in a process of its own: a real one where the environment names it, else the simulator.

COMFY_URL: one that runs. COMFY_HOME: one that is installed there, and is started with COMFY_PYTHON and COMFY_ARGS in
a base folder of the benchmark's own, so that nothing is written into the user's. Neither: the simulator.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from reporting import Failed

HERE = Path(__file__).resolve().parent
NODE = HERE / "sleeping_node"
# What the programs need of the environment: a COMFY_… or S3_… of the reader's must not change the numbers.
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class UnderTest:
    """A ComfyUI that answers.

    Attributes:
        url: where.
        base: the folder that holds its `input`, `output` and `temp`; None where it is not ours to know.
        kind: `comfyui` or `simulator`.
        version: ComfyUI's; of the simulator, the one that it follows.
        sleeps: whether it has the node `BenchmarkSleep`.
        device: what it computes on, in its own words; empty for the simulator.
        spans: where that node writes down when it slept; None where it does not.
    """

    url: str
    base: Path | None
    kind: str
    version: str
    sleeps: bool
    device: str = ""
    spans: Path | None = None

    def slept(self) -> list[tuple[float, float]]:
        """When the node slept, from and to, in seconds since the epoch: when a GPU would have worked."""
        lines = self.spans.read_text().splitlines() if self.spans else []
        return [(float(began), float(ended)) for began, ended in (line.split() for line in lines)]

    @property
    def words(self) -> str:
        """What it is, for the reader of a number."""
        return f"ComfyUI {self.version}" if self.kind == "comfyui" else f"the simulator of ComfyUI {self.version}"

    @property
    def why_not(self) -> str:
        """Why jobs that sleep are skipped; empty where they are not."""
        if self.sleeps:
            return ""
        return "this ComfyUI lacks the node BenchmarkSleep: copy benchmarks/sleeping_node into its custom_nodes"


def is_real() -> bool:
    """Whether the environment names a ComfyUI."""
    return bool(os.environ.get("COMFY_URL") or os.environ.get("COMFY_HOME"))


def can_be_two() -> bool:
    """Whether several can be had at once: not of one that runs already."""
    return not os.environ.get("COMFY_URL")


@contextlib.contextmanager
def comfyui_under_test(port: int | None = None) -> Iterator[UnderTest]:
    """The ComfyUI that is measured, until the block ends; one that was started for this is ended then.

    Args:
        port: for one that is started here; a free one by default.

    Raises:
        engine.errors.ComfyUnavailable: it can't be started.
        requests.RequestException: there is none at COMFY_URL.
        Failed: the simulator can't be started.
    """
    if url := os.environ.get("COMFY_URL"):
        yield _described(url.rstrip("/"), None, "comfyui")
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-comfyui-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        if home := os.environ.get("COMFY_HOME"):
            with _started(Path(home), base, port) as (url, spans):
                yield _described(url, base, "comfyui", spans)
        else:
            with _simulated(base, port) as (url, spans):
                yield _described(url, base, "simulator", spans)


@contextlib.contextmanager
def comfyuis_under_test(count: int, port: int | None = None) -> Iterator[list[UnderTest]]:
    """Several, started side by side; the first has the port."""
    with contextlib.ExitStack() as stack:
        managers = [comfyui_under_test(port if not index else None) for index in range(count)]
        with ThreadPoolExecutor(count) as pool:
            yield list(pool.map(stack.enter_context, managers))


@contextlib.contextmanager
def simulator_under_test() -> Iterator[UnderTest]:
    """The simulator, whatever the environment names, until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-simulator-", ignore_cleanup_errors=True) as folder,
        _simulated(Path(folder), None) as (url, spans),
    ):
        yield _described(url, Path(folder), "simulator", spans)


def own_environment(**more: str) -> dict[str, str]:
    """What a program that is measured sees of the environment, and what else it is told."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONUNBUFFERED": "1"} | more


def sleep_graph(number: int, seconds: float | None, prefix: str = "benchmark") -> dict[str, Any]:
    """A job that nobody ran before.

    Args:
        number: tells it from the others.
        seconds: it sleeps; None leaves the node out, for a trivial job that any ComfyUI runs.
        prefix: of its file's name.
    """
    image = {"width": 512, "height": 512, "batch_size": 1, "color": number % 0xFFFFFF if seconds is None else 0}
    graph: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }
    if seconds is not None:
        graph["5"] = {"class_type": "BenchmarkSleep", "inputs": {"image": ["1", 0], "seconds": seconds, "seed": number}}
        graph["9"]["inputs"]["images"] = ["5", 0]
    return graph


def _described(url: str, base: Path | None, kind: str, spans: Path | None = None) -> UnderTest:
    with requests.Session() as session:
        session.trust_env = False
        stats = session.get(f"{url}/system_stats", timeout=30).json()
        version = str(stats["system"].get("comfyui_version") or "of an unknown version")
        devices = [str(each["name"]) for each in stats.get("devices") or []] if kind == "comfyui" else []
        sleeps = "BenchmarkSleep" in session.get(f"{url}/object_info/BenchmarkSleep", timeout=30).json()
    return UnderTest(url, base, kind, version, sleeps, f"on {devices[0]}" if devices else "", spans)


@contextlib.contextmanager
def _started(home: Path, base: Path, port: int | None) -> Iterator[tuple[str, Path]]:
    from engine.comfyui import ComfyProcess

    for name in ("custom_nodes", "input", "output", "models", "user"):
        (base / name).mkdir()
    shutil.copytree(NODE, base / "custom_nodes" / NODE.name, ignore=shutil.ignore_patterns("__pycache__"))
    spans = base / "custom_nodes" / NODE.name / "spans.txt"
    spans.touch()
    python = os.environ.get("COMFY_PYTHON")
    process = ComfyProcess(
        home,
        python=Path(python) if python else None,
        port=port,
        # The last word is ours: the folders are not to be the user's.
        args=[*shlex.split(os.environ.get("COMFY_ARGS", "")), "--base-directory", str(base)],
        log_file=base / "comfyui.log",
    )
    try:
        process.start()
        yield process.url, spans
    finally:
        process.stop()


@contextlib.contextmanager
def _simulated(base: Path, port: int | None) -> Iterator[tuple[str, Path]]:
    spans = base / "spans.txt"
    spans.touch()
    command = [sys.executable, str(HERE / "simulated.py"), "--folder", str(base), "--port", str(port or 0)]
    command += ["--spans", str(spans)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own_environment(), cwd=HERE.parent
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise Failed("the simulator did not start; above it says why")
        yield url, spans
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)
