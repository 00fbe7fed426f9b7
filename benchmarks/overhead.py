"""What one job costs beside ComfyUI's own time: the smallest there is, one after the other, in one process.

The same graph (EmptyImage to SaveImage, 512 x 512, another colour each time, so that nothing is cached) is run in turn
by ComfyUI alone (POST /prompt, the websocket's end marker, GET /history; session and socket kept) and by
`engine.answer`, from the request to the reply. Medians, and what they are of ComfyUI's own.

Which ComfyUI: COMFY_URL, or COMFY_HOME with COMFY_PYTHON and COMFY_ARGS; else the simulator, whose pictures cost less,
so that no bound is held against it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
import websocket
from reporting import Report, bounded, exit_with, options_of
from under_test import UnderTest, comfyui_under_test, sleep_graph

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.s3 import S3Server, serve_s3  # noqa: E402

from engine import Catalog  # noqa: E402
from engine.comfyui import ComfyUI, SharedFolders  # noqa: E402
from engine.envelope import answer  # noqa: E402
from engine.jobs import Runner  # noqa: E402
from engine.settings import Settings  # noqa: E402
from engine.storage import Storages  # noqa: E402

WARM_UP = 5
ALONE = "ComfyUI alone"
SHARED, HTTP = "ours, a shared disk", "ours, HTTP alone"
BUCKET, HTTP_BUCKET = "ours, a shared disk and a bucket on loopback", "ours, HTTP alone and a bucket on loopback"
BOUNDS = {SHARED: 1.25, HTTP: 1.45, BUCKET: 1.8}
MAP = {
    "parameters": {
        "color": {"type": "integer", "required": True, "minimum": 0, "maximum": 0xFFFFFF, "bind": "$['1'].inputs.color"}
    }
}

Way = Callable[[int], object]


def alone(url: str, stack: contextlib.ExitStack) -> Way:
    """Runs a job as the shortest client there is."""
    # What the engine asks by: a slower client would count as ComfyUI's own time.
    pools = stack.enter_context(urllib3.PoolManager())
    client_id = str(uuid.uuid4())
    socket = websocket.create_connection(f"ws{url.removeprefix('http')}/ws?clientId={client_id}", suppress_origin=True)
    stack.callback(socket.close)

    def run(number: int) -> object:
        prompt_id = str(uuid.uuid4())
        body = {"prompt": sleep_graph(number, None, "alone"), "prompt_id": prompt_id, "client_id": client_id}
        queued = pools.request("POST", f"{url}/prompt", json=body)
        if queued.status != HTTPStatus.OK:
            raise RuntimeError(f"ComfyUI does not take the graph: {queued.data.decode()}")
        while not _is_end(socket.recv(), prompt_id):
            pass
        return pools.request("GET", f"{url}/history/{prompt_id}").json()[prompt_id]["outputs"]["9"]

    return run


def _is_end(message: str | bytes, prompt_id: str) -> bool:
    if not isinstance(message, str):
        return False
    event = json.loads(message)
    return event["type"] == "executing" and event["data"] == {"node": None, "prompt_id": prompt_id}


def ours(comfy: UnderTest, folder: Path, stack: contextlib.ExitStack, *, shared: bool, bucket: S3Server | None) -> Way:
    """Runs a job as the worker does, from the request to the reply."""
    folders = SharedFolders.below(comfy.base) if shared and comfy.base else None
    ui = stack.enter_context(ComfyUI(comfy.url, folders=folders))
    options: dict[str, Any] = {f"s3_{name}": value for name, value in bucket.options().items()} if bucket else {}
    settings = Settings(**options)
    runner = Runner(Catalog([folder]), lambda: ui, Storages(settings, default="inline"), settings)
    stack.callback(runner.close)
    runner.warm()
    ui.ready()

    def run(number: int) -> object:
        reply = answer({"workflow": "trivial", "payload": {"color": number}}, runner, job_id=f"job-{number}")
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["outputs"][0]["url" if bucket else "base64"]

    return run


def measured(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round of every way, in turn; each begins a round as often as the others."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names, number = list(ways), 0
    for index in range(WARM_UP + rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            number += 1
            begun = time.perf_counter()
            made = ways[name](number)
            seconds = time.perf_counter() - begun
            if not made:
                raise RuntimeError(f"{name}: nothing came")
            if index >= WARM_UP:
                taken[name].append(seconds * 1000)
    return taken


def told(report: Report, comfy: UnderTest, taken: dict[str, list[float]]) -> None:
    """The table, the ratios with their bounds, and the plot."""
    medians = {name: statistics.median(each) for name, each in taken.items()}
    report.say(f"On {comfy.words}, {len(taken[ALONE])} rounds of each in turn.")
    rows = [
        (name, f"{medians[name]:.1f} ms", f"{_ninth(taken[name]):.1f} ms", f"{medians[name] / medians[ALONE]:.2f}")
        for name in taken
    ]
    report.table(["one trivial job", "median", "90 of 100 are below", "times ComfyUI's own"], rows)
    for name in taken:
        if name != ALONE:
            bound = BOUNDS.get(name) if comfy.kind == "comfyui" else None
            report.figure(f"{name}, against ComfyUI alone", medians[name] / medians[ALONE], "times", at_most=bound)
    report.plot(
        "overhead", f"How long one trivial job takes, of {len(taken[ALONE])} each, on {comfy.words}.", _draw(taken)
    )


def _ninth(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=10)[-1]


def _draw(taken: dict[str, list[float]]) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        for name, each in taken.items():
            shares = [100 * (index + 1) / len(each) for index in range(len(each))]
            axes.step(sorted(each), shares, where="post", label=name)
        axes.set_xlabel("milliseconds from the request to the end")
        axes.set_ylabel("jobs that took no longer, %")
        axes.set_xlim(0, 1.25 * max(_ninth(each) for each in taken.values()))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")

    return draw


def main() -> int:
    parser = options_of(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter))
    parser.add_argument("--rounds", type=bounded(int, 2), default=100, help="jobs of each way (default: 100)")
    options = parser.parse_args()
    report = Report(
        "overhead",
        "One job against ComfyUI alone",
        "The smallest job there is (EmptyImage to SaveImage, 512 x 512), from the request to the reply with the "
        "picture as base64 or its link, against what ComfyUI itself takes for it: POST /prompt to GET /history, over "
        "a session and a websocket that are kept.",
        options.report,
    )
    with contextlib.ExitStack() as stack:
        comfy = stack.enter_context(comfyui_under_test())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-overhead-")))
        bucket = stack.enter_context(serve_s3(work / "bucket"))
        for part, document in (("templates", sleep_graph(0, None)), ("schemas", MAP)):
            (work / part).mkdir()
            (work / part / "trivial.json").write_text(json.dumps(document))
        ways = {ALONE: alone(comfy.url, stack)}
        if comfy.base is not None:
            ways[SHARED] = ours(comfy, work, stack, shared=True, bucket=None)
            ways[BUCKET] = ours(comfy, work, stack, shared=True, bucket=bucket)
        else:
            report.say("COMFY_URL tells nothing of ComfyUI's folders: the ways with a shared disk are left out.")
        ways[HTTP] = ours(comfy, work, stack, shared=False, bucket=None)
        ways[HTTP_BUCKET] = ours(comfy, work, stack, shared=False, bucket=bucket)
        told(report, comfy, measured(ways, options.rounds))
    return report.end()


if __name__ == "__main__":
    exit_with(main)
