"""The faults that the suite injects, as data, and what runs one of them.

A case is a script of faults for the simulator, and what becomes of the job that it meets. The next job is to work
whatever the case.
"""

import base64
import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from support.runners import runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.comfyui import ComfyUI, SharedFolders
from engine.envelope import answer
from engine.errors import Cancelled
from engine.nodes import load_catalogue
from engine.settings import Settings
from engine.simulator import Simulator, choices_from

STEPS = 12
SOME_STEP = {"node": "KSampler", "step": 3}
HISTORY = {"path": "/history", "method": "GET"}
DONE = "done"


@dataclass(frozen=True)
class Case:
    """A fault and what becomes of the job.

    Attributes:
        name: what goes wrong, in a few words; the name of the case.
        script: for the simulator.
        end: `done`, or the code of the failure.
        request: more keys of the job's request.
        settings: of the operator.
        cancel_at: the step at which the job is cancelled.
        words: what the failure says.
    """

    name: str
    script: list
    end: str = DONE
    request: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    cancel_at: int | None = None
    words: str = ""

    def __str__(self):
        return self.name


def at_step(kind, **more):
    return {"fault": kind, **SOME_STEP, **more}


SHORT = {"timeout_seconds": 1.0}

IN_THIS_PROCESS = [
    Case("the websocket is cut at step 3", [at_step("drop_socket")]),
    Case("the websocket is cut at every step", [at_step("drop_socket", step=step) for step in range(1, STEPS)]),
    Case("the websocket stands and is silent", [at_step("silent_socket")]),
    Case("every frame comes 1.5 s late", [at_step("late_socket", seconds=1.5)]),
    Case("frames come in the wrong order", [{"fault": "reorder", "times": 40}]),
    Case("every frame comes twice", [{"fault": "duplicate", "times": None}]),
    Case("every frame is cut in the middle", [{"fault": "truncate", "times": None}]),
    Case("frames of unknown types and for unknown prompts", [{"fault": "unknown", "times": 20}]),
    Case("an end marker while the job runs", [at_step("false_end")]),
    Case("the end marker is lost", [{"fault": "lose_frame", "event": "end"}]),
    Case("no frame comes at all", [{"fault": "lose_frame", "times": 200}]),
    Case("5000 frames at once", [at_step("flood", frames=5000)]),
    Case("the history lags 0.7 s behind the end marker", [{"fault": "lag_history", "seconds": 0.7}]),
    Case("/history answers 500 four times", [{"fault": "status", **HISTORY, "times": 4}]),
    Case(
        "/history answers what is no history",
        [{"fault": "status", **HISTORY, "code": 200, "body": ["odd"], "times": 2}],
    ),
    Case(
        "/queue answers 503", [{"fault": "lose_frame", "times": 60}, {"fault": "status", "path": "/queue", "code": 503}]
    ),
    Case("the answer to the queueing is lost", [{"fault": "drop_answer", "path": "/prompt", "method": "POST"}]),
    Case(
        "the queueing is answered 1 s late", [{"fault": "delay", "path": "/prompt", "method": "POST", "seconds": 1.0}]
    ),
    Case("nothing is answered for 1 s", [at_step("freeze", seconds=1.0)]),
    Case("a node runs out of memory", [at_step("out_of_memory")], "out_of_memory", words="KSampler"),
    Case("the disk is full when a picture is saved", [{"fault": "disk_full"}], "execution_failed", words="SaveImage"),
    Case("a node stands still for 2 s, the job may take 1 s", [at_step("hang", seconds=2)], "execution_timeout", SHORT),
    Case(
        "one interrupt is ignored",
        [{"fault": "ignore_interrupt"}, at_step("hang", seconds=1.2)],
        "execution_timeout",
        SHORT,
    ),
    Case("the job is cancelled at step 2", [], "cancelled", cancel_at=2),
    Case(
        "the job is cancelled while a node stands still for 1 s", [at_step("hang", seconds=1)], "cancelled", cancel_at=3
    ),
    Case("cancelled, and the interrupt is ignored once", [{"fault": "ignore_interrupt"}], "cancelled", cancel_at=2),
    Case(
        "cancelled, and the answer to the interrupt is lost",
        [{"fault": "drop_answer", "path": "/interrupt"}],
        "cancelled",
        cancel_at=2,
    ),
]

_QUICK = {"comfy_silent_seconds": 1.0, "comfy_stop_seconds": 1.0}
_STOPPED = "ComfyUI stopped while running KSampler"

SUPERVISED = [
    Case("ComfyUI is killed at step 3", [at_step("kill")]),
    Case("ComfyUI ends with status 1 at step 3", [at_step("exit")]),
    Case("ComfyUI is killed twice under one job", [at_step("kill", times=2)], "comfy_unavailable", words=_STOPPED),
    Case("ComfyUI is killed before it answers the queueing", [{"fault": "kill", "path": "/prompt"}]),
    Case("ComfyUI is killed as a picture is saved", [{"fault": "kill", "node": "SaveImage"}]),
    Case("ComfyUI is killed and does not start the first time", [at_step("kill"), {"fault": "no_start", "after": 1}]),
    Case("ComfyUI answers nothing any more", [at_step("freeze")], settings=_QUICK),
    Case("a node stands still for ever", [at_step("hang")], "execution_timeout", SHORT, settings=_QUICK),
    Case(
        "a node stands still for ever, no bound but the stall's",
        [at_step("hang")],
        "execution_timeout",
        settings={**_QUICK, "stall_seconds": 1.0},
    ),
    Case(
        "every interrupt is ignored",
        [{"fault": "ignore_interrupt", "times": None}, at_step("hang", seconds=60)],
        "cancelled",
        settings=_QUICK,
        cancel_at=2,
    ),
    Case("ComfyUI loses the job", [{"fault": "lose_prompt"}]),
]
"""Those of a ComfyUI that the engine starts and watches."""

REAL = {
    "SIGKILL mid-sampling": DONE,
    "SIGSTOP mid-sampling": DONE,
    "the websocket is cut mid-sampling": DONE,
    "cancelled mid-sampling, ten times of ten": "cancelled",
}
"""What is done to a real ComfyUI, and the end of the job."""


@dataclass
class Trial:
    """What came of a case: the job's end, its reply, the seconds it took."""

    end: str
    reply: dict
    seconds: float


class Bench:
    """A ComfyUI that meets faults, and the engine before it.

    Args:
        comfy: gives the engine's side of it.
        folder: for what the test needs.
        settings: of the operator.
        base: the folder that holds ComfyUI's input, output and temp.
    """

    def __init__(self, comfy, folder, settings, base):
        self.comfy, self.base = comfy, base
        self.scratch = folder / "scratch"
        self.scratch.mkdir(exist_ok=True)
        self.faults = []  # of a simulator in this process
        self.own = set()  # what ComfyUI itself puts into its folders
        self.runner = runner_on(comfy, folder, default="inline", **settings)

    def close(self):
        self.runner.close()

    def run(self, seed, *, request=None, cancel_at=None, job_id="job-1", at_step=None, steps=STEPS, **payload):
        """Run a job; gives how it ended."""
        cancel = CancellationToken()

        def hear(progress):
            if at_step is not None:
                at_step(progress)
            if cancel_at is not None and progress.step >= cancel_at:
                cancel.cancel()

        payload = {"prompt": "a lighthouse", "seed": seed, "steps": steps, "width": 64, "height": 64, **payload}
        document = {"workflow": "txt2img", "payload": payload, **(request or {})}
        began = time.monotonic()
        try:
            reply = answer(document, self.runner, job_id=job_id, cancel=cancel, on_progress=hear)
        except Cancelled:
            reply = {"failure": {"code": "cancelled"}}
        seconds = time.monotonic() - began
        return Trial(reply["failure"]["code"] if "failure" in reply else DONE, reply, seconds)

    def leftovers(self):
        """Files and folders that jobs left in ComfyUI's folders and in the temporary one."""
        return sorted(self.contents() - self.own) + list(self.scratch.glob("job-*/*"))

    def contents(self):
        """What is in ComfyUI's folders."""
        return {path for name in ("input", "output", "temp") for path in (self.base / name).rglob("*")}


@contextlib.contextmanager
def simulated_bench(folder, script=(), settings=None, *, step_seconds=0.02):
    """A simulator in this process, with faults."""
    catalogue = load_catalogue()
    choices = choices_from(_templates(), catalogue)
    with (
        Simulator(catalogue, folder / "comfy", 0, choices, step_seconds) as simulator,
        ComfyUI(simulator.url, folders=SharedFolders.below(simulator.folders.base)) as comfy,
    ):
        comfy.folders()
        comfy.events.start()
        bench = Bench(lambda: comfy, folder, settings or {}, simulator.folders.base)
        bench.faults = simulator.faults
        bench.faults.add(*script)
        try:
            yield bench
        finally:
            bench.close()


@contextlib.contextmanager
def started_bench(folder, home, settings=None):
    """A ComfyUI that the engine starts and watches."""
    chosen = {"comfy_home": home, "comfy_log": folder / "comfyui.log", **(settings or {})}
    with Backend(Settings(**chosen), Catalog([ROOT]), simulate=False) as backend:
        bench = Bench(backend.comfy, folder, chosen, home)
        try:
            yield bench
        finally:
            bench.close()


def _templates():
    return [json.loads(path.read_text()) for path in sorted((ROOT / "templates").glob("*.json"))]


def pixels(reply):
    """The pixels of the one picture of a reply."""
    (output,) = reply["outputs"]
    with Image.open(io.BytesIO(base64.b64decode(output["base64"]))) as picture:
        return picture.size, picture.convert("RGB").tobytes()


@contextlib.contextmanager
def scratch_below(folder):
    """Have temporary files of this process made there."""
    before = tempfile.tempdir
    tempfile.tempdir = str(Path(folder))
    try:
        yield
    finally:
        tempfile.tempdir = before
