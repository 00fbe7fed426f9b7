"""Many jobs through the RunPod SDK, on several workers whose ComfyUIs meet random faults, with random cancels.

Every job has to end exactly once, with the right picture or a failure that has a name; and what the workers hold
(memory, threads, open files, folders) has to stay level.
"""

import contextlib
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from support.fault_cases import pixels, simulated_bench
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import running_worker, worker_environment

STEPS = 6
SEEDS = 12
LONGEST_SECONDS = 180
_JOB_SECONDS = 0.4  # about what a job takes
MEBIBYTE = 1024 * 1024
NAMED = {"comfy_unavailable", "execution_timeout", "execution_failed", "out_of_memory", "no_outputs"}
ROOM = {"memory": 48 * MEBIBYTE, "threads": 12, "files": 16, "leftovers": 0}
"""By how much a worker may hold more at the end than after the warm-up: eight threads and the connections that they use
are kept, and how many of them the first jobs needed at once is chance."""

SETTINGS = {
    "TIMEOUT_SECONDS": "8",
    "QUEUE_TIMEOUT_SECONDS": "30",
    "COMFY_SILENT_SECONDS": "3",
    "COMFY_STOP_SECONDS": "2",
    "STALL_SECONDS": "5",
    "COMFY_MOST_CRASHES": "1000",  # else a worker asks to be replaced, which nobody here does
}

_KSAMPLER = {"node": "KSampler"}
ANY_STEP = list(range(1, STEPS + 1))
FAULTS = [
    {"fault": "kill", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "exit", "node": ["KSampler", "VAEDecode", "SaveImage"]},
    {"fault": "kill", "path": "/prompt", "method": "POST"},
    {"fault": "freeze", **_KSAMPLER, "step": ANY_STEP, "seconds": 1.0},
    {"fault": "freeze", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "hang", **_KSAMPLER, "step": ANY_STEP, "seconds": [1.0, 60.0]},
    {"fault": "out_of_memory", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "disk_full", "node": "SaveImage"},
    {"fault": "lose_prompt"},
    {"fault": "lag_history", "seconds": 0.5},
    {"fault": "ignore_interrupt"},
    {"fault": "status", "path": "/history", "method": "GET", "code": [500, 502, 503]},
    {"fault": "drop_answer", "path": "/prompt", "method": "POST"},
    {"fault": "drop_socket", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "silent_socket", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "false_end", **_KSAMPLER, "step": ANY_STEP},
    {"fault": "flood", **_KSAMPLER, "step": ANY_STEP, "frames": 3000},
    {"fault": ["reorder", "duplicate", "truncate", "lose_frame"], "event": "execution_start"},
    {"fault": "lose_frame", "event": "end"},
    {"fault": "unknown", "event": "execution_start"},
]
"""Where there is a list, one of it is drawn."""


@dataclass
class Summary:
    """What a soak came to.

    Attributes:
        ends: how many jobs ended which way.
        violations: what should not have been, in words.
        held: what each worker held after the warm-up and at the end.
        fired: how many faults fired.
        seconds: how long it took.
    """

    ends: Counter = field(default_factory=Counter)
    violations: list = field(default_factory=list)
    held: list = field(default_factory=list)
    fired: int = 0
    seconds: float = 0.0

    def lines(self):
        """For a person."""
        yield f"{sum(self.ends.values())} jobs in {self.seconds:.0f} s, {self.fired} faults fired"
        yield from (f"  {count:4} {end}" for end, count in self.ends.most_common())
        for number, (before, after) in enumerate(self.held):
            yield f"  worker {number}: " + ", ".join(f"{key} {before[key]} -> {after[key]}" for key in before)
        yield from (f"VIOLATION: {each}" for each in self.violations)


class _Worker:
    def __init__(self, process, home, temporary):
        self.process, self.home, self.temporary = process, home, temporary

    def log(self):
        return (self.home.parent / "worker.log").read_text()

    def held(self):
        """What it holds now."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        places = [self.home / name for name in ("input", "output", "temp")]
        left = [path for place in places for path in _all_below(place)]
        left += [path for path in _all_below(self.temporary) if path.parent.name.startswith("job-")]
        return {
            "memory": int(status["VmRSS"].split()[0]) * 1024,
            "threads": int(status["Threads"]),
            "files": len(list((proc / "fd").iterdir())),
            "leftovers": len(left),
        }


def _all_below(folder):
    """Every path; `rglob` (Python 3.11) raises where a job removes a folder meanwhile."""
    return [Path(root) / name for root, folders, files in os.walk(folder) for name in (*folders, *files)]


def soak(folder, *, seed=1, jobs=500, workers=4, share_of_faults=0.15, share_of_cancels=0.08):
    """Run it; gives a `Summary`.

    Args:
        folder: for the workers' ComfyUIs, logs and temporary files.
        seed: of everything that is random.
        jobs: how many.
        workers: how many processes of `handler.py`.
        share_of_faults: faults per job.
        share_of_cancels: of the jobs.
    """
    draw = random.Random(seed)
    summary = Summary()
    began = time.monotonic()
    with simulated_bench(_made(folder / "right")) as bench:
        right = {number: pixels(bench.run(number, steps=STEPS).reply) for number in range(SEEDS)}
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(serve_runpod_queue())
        running = [
            _started(stack, queue, folder / f"worker-{number}", _script(draw, jobs // workers, share_of_faults))
            for number in range(workers)
        ]
        planned = sum(_faults_left(worker.home) for worker in running)
        _batch(queue, draw, summary, right, jobs // 4, share_of_cancels)
        before = _held(running)
        _batch(queue, draw, summary, right, jobs - jobs // 4, share_of_cancels)
        summary.held = list(zip(before, _held(running, before), strict=True))
        summary.fired = planned - sum(_faults_left(worker.home) for worker in running)
        for number, worker in enumerate(running):
            if worker.process.poll() is not None:
                summary.violations.append(f"worker {number} ended with status {worker.process.returncode}")
    for number, worker in enumerate(running):
        # One that was killed, or ended without what it had to close, leaves those that it kept.
        in_time = worker.process.returncode == 0 and "it ends without it" not in worker.log()
        if in_time and (left := [path.name for path in worker.temporary.glob("job-*")]):
            summary.violations.append(f"worker {number} has ended and left {', '.join(left)}")
    for number, (first, last) in enumerate(summary.held):
        for key, room in ROOM.items():
            if last[key] > first[key] + room:
                summary.violations.append(f"worker {number}: {key} grew from {first[key]} to {last[key]}")
    summary.seconds = time.monotonic() - began
    return summary


def _made(folder):
    folder.mkdir(parents=True)
    return folder


def _script(draw, jobs, share):
    """Faults that a worker meets at random jobs of its own."""
    return [
        {key: draw.choice(value) if isinstance(value, list) else value for key, value in draw.choice(FAULTS).items()}
        | {"after": draw.randrange(max(jobs - 2, 1))}
        for _ in range(round(jobs * share))
    ]


def _faults_left(home):
    import json

    return len(json.loads((home / "faults.json").read_text()))


def _started(stack, queue, folder, script):
    home = simulated_home(folder / "home", script, step_seconds=0.02)
    temporary = _made(folder / "temporary")
    environment = worker_environment("", **queue.environment(pod=folder.name), **SETTINGS)
    environment |= {"COMFY_HOME": str(home), "COMFY_LOG": str(folder / "comfyui.log"), "TMPDIR": str(temporary)}
    process = stack.enter_context(running_worker(environment, folder / "worker.log"))
    return _Worker(process, home, temporary)


def _batch(queue, draw, summary, right, count, share_of_cancels):
    """Submit so many jobs, cancel some, wait for all, and look at how each ended."""
    asked, cancelled = {}, {}
    for _ in range(count):
        seed = draw.randrange(SEEDS)
        wrong = draw.random() < 0.03
        payload = {"prompt": "a lighthouse", "seed": seed, "steps": 500 if wrong else STEPS, "width": 64, "height": 64}
        job = queue.submit({"workflow": "txt2img", "payload": payload})
        asked[job] = None if wrong else seed
        if not wrong and draw.random() < share_of_cancels:
            cancelled[job] = threading.Thread(
                target=_cancel, args=(queue, job, draw.random() * _JOB_SECONDS), daemon=True
            )
    for thread in cancelled.values():
        thread.start()
    for job, seed in asked.items():
        if job not in cancelled:
            _look(queue, summary, job, seed, right)
    for thread in cancelled.values():
        thread.join()
    # Whoever runs a cancelled job at the last is done with it when a later job has been answered.
    for job in cancelled:
        finals = _finals(queue, job)
        summary.ends["cancelled" if not finals else "cancelled too late"] += 1
        if len(finals) > 1:
            summary.violations.append(f"{job} was cancelled and ended {len(finals)} times")


def _cancel(queue, job, seconds):
    with contextlib.suppress(TimeoutError):
        queue.wait_taken(job, 10 * LONGEST_SECONDS)
        time.sleep(seconds)  # a random moment of the job, its beginning and its end among them
        queue.cancel(job)


def _finals(queue, job):
    return [post for post in queue.posts(job) if post.get("status") != "IN_PROGRESS"]


def _look(queue, summary, job, seed, right):
    try:
        posted = queue.wait(job, LONGEST_SECONDS)
    except TimeoutError:
        summary.ends["never"] += 1
        summary.violations.append(f"{job} did not end within {LONGEST_SECONDS} s")
        return
    if len(_finals(queue, job)) != 1:
        summary.violations.append(f"{job} ended {len(_finals(queue, job))} times")
    code = posted.get("error", "done: ").partition(":")[0]
    summary.ends[code] += 1
    if seed is None:
        if code != "invalid_payload":
            summary.violations.append(f"{job} had a wrong payload and ended as {code}")
    elif code == "done":
        if pixels(posted["output"]) != right[seed]:
            summary.violations.append(f"{job} gave another picture than that of seed {seed}")
    elif code not in NAMED:
        summary.violations.append(f"{job} failed as {posted['error'][:200]}")


def _held(running, before=()):
    """What the workers hold once they are idle.

    What they hold more than before, and is no leak, goes: such as a thread that still waits for an answer of a ComfyUI
    that is frozen, for a job that was cancelled.
    """
    deadline = time.monotonic() + 60

    def settled(held):
        return not any(each["leftovers"] for each in held) and all(
            last[key] <= first[key] + room
            for first, last in zip(before, held, strict=False)
            for key, room in ROOM.items()
        )

    while not settled(held := [worker.held() for worker in running]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return held
