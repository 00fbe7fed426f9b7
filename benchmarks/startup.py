"""How long a worker takes from the start of its process to its first take of a job, and to its first result.

The worker is `python handler.py`, on a local queue, beside a ComfyUI that runs: the one of COMFY_URL, one started of
COMFY_HOME, else the simulator. Beside it, in turn, RunPod's SDK with a handler that does nothing, which is the SDK's
own share. Then what a library of 10,000 workflows costs.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reporting import Report, bounded, exit_with, options_of  # noqa: E402
from support.processes import ended  # noqa: E402
from support.runpod_queue import serve_runpod_queue  # noqa: E402
from support.worker import worker_environment  # noqa: E402
from under_test import comfyui_under_test  # noqa: E402

FEW, MANY, ASKED = 10, 10_000, 1_000
ABOUT = """Medians of runs in turn, each of a process of its own; times are by the clock. The worker has the library's
workflows, and results go into the reply. The SDK alone is imported as the worker imports it, and its handler does
nothing."""

BARE = """
from engine.runpod_sdk import load_runpod

async def nothing(job):
    return {}

load_runpod().serverless.start({"handler": nothing})
"""

# What the worker does, one after the other, so that each can be told from the others.
STAGES = """
import time
begun = time.perf_counter()
marks = []
def done(what):
    global begun
    now = time.perf_counter()
    marks.append([what, now - begun])
    begun = now
import gc
gc.disable()
import os
from engine.starting.modes import choose
import engine.starting.sequence
done("imports before ComfyUI")
import engine.starting.beside
done("other imports")
from engine.runpod_sdk import load_runpod
load_runpod()
done("RunPod's SDK")
from engine.backend import Backend
from engine.catalog import Catalog
from engine.fitness import checks
from engine.settings import load_settings
from engine.worker import build
settings = load_settings()
catalog = Catalog(settings.workflows_path)
with Backend(settings, catalog, simulate=False) as backend:
    runner = build(settings, catalog, backend)
    runner.warm()
    backend.comfy().ready()
    done("settings, ComfyUI, bucket")
    for check in checks(settings, catalog, backend.comfy):
        check()
    done("checks, a workflow among them")
    runner.close()
import json
print(json.dumps(marks))
"""

FIRST_RENDER = """
import os, sys, time
from engine import Catalog
names = sys.argv[1:]
begun = time.perf_counter()
catalog = Catalog([os.environ["WORKFLOWS_PATH"]])
opened = time.perf_counter() - begun
took = []
for name in names:
    begun = time.perf_counter()
    workflow = catalog[name]
    workflow.render(workflow.validate({"prompt": "a lighthouse at dusk"}))
    took.append(time.perf_counter() - begun)
print(opened, *took)
"""

ACTION = """
import os, sys, time
from engine import Catalog
from engine.backend import Backend
from engine.envelope import answer
from engine.settings import load_settings
from engine.worker import build
settings = load_settings()
catalog = Catalog(settings.workflows_path)
with Backend(settings, catalog, simulate=False) as backend:
    runner = build(settings, catalog, backend)
    for _ in range(2):
        begun = time.perf_counter()
        assert "error" not in answer({"action": "list"}, runner, job_id="list")
        print(time.perf_counter() - begun)
    runner.close()
"""


@contextlib.contextmanager
def started(command, environment):
    """A worker, until the block ends; gives the time at which it was started."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process, 20):
        yield began


def until_take(command, url, **more):
    """Seconds from the start of the process to its first request for a job."""
    with serve_runpod_queue() as queue:
        environment = worker_environment(url, **queue.environment(), **more)
        with started(command, environment) as began:
            queue.wait_asked()
            return time.perf_counter() - began


def until_result(command, url):
    """Seconds from the start of the process to the result of a job that waited for it; whether it went well."""
    with serve_runpod_queue() as queue:
        job = queue.submit({"workflow": "resize", "payload": {"width": 16}})
        with started(command, worker_environment(url, **queue.environment())) as began:
            reply = queue.wait(job, 60)
            assert "error" not in reply, reply
            return time.perf_counter() - began


def printed(command, environment, *arguments):
    """What a Python program says."""
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def seconds(command, environment):
    """How long a process takes, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def medians(rounds, *measures):
    """The median of each, measured in turn."""
    rows = [[measure() for measure in measures] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def start(report, url, rounds):
    """Process start to first take, and to first result."""
    bare, ours = [sys.executable, "-c", BARE], [sys.executable, "handler.py"]
    bucket = {
        "S3_BUCKET": "results",
        "S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": "secret",
    }
    until_take(bare, url)  # what is read from the disk for the first time counts for nobody
    until_take(ours, url)
    sdk, worker, with_bucket, sdk_result, result = medians(
        rounds,
        lambda: until_take(bare, url),
        lambda: until_take(ours, url),
        lambda: until_take(ours, url, **bucket),
        lambda: until_result(bare, url),
        lambda: until_result(ours, url),
    )
    report.figure("the SDK with an empty handler, from process start to its first take", sdk, "s")
    report.figure("the worker, beside a ComfyUI that runs", worker, "s", at_most=0.9)
    report.figure("the same against the SDK alone", worker / sdk, "times")
    report.figure("the worker with a bucket, whose client is built before the take", with_bucket, "s")
    report.figure("the SDK with an empty handler, from process start to its first result", sdk_result, "s")
    report.figure("the worker, to the first picture, a trivial one", result, "s")


def stages(report, url, rounds):
    """What the time to the first take goes into."""
    environment = worker_environment(url) | {"PYTHONPATH": str(ROOT)}
    runs = [dict(json.loads(printed(STAGES, environment))) for _ in range(rounds)]
    found = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    interpreter = statistics.median(seconds([sys.executable, "-c", ""], environment) for _ in range(rounds))
    found = {"Python": interpreter, **found}
    report.say("What it goes into, done one after the other here; the worker does some of it side by side.")
    report.table(["stage", "time"], [[name, f"{value * 1000:.0f} ms"] for name, value in found.items()])

    def draw(axes):
        left = 0.0
        for name, value in found.items():
            axes.barh(["worker"], [value], left=left, label=name)
            left += value
        axes.set_xlabel("seconds")
        axes.set_xlim(0, left)
        axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False)

    report.plot("startup", "What the time from process start to the first take goes into, one after the other", draw)


def imports(report, rounds):
    """The SDK's import with what the worker leaves out of it, and as it is."""
    quick = [sys.executable, "-c", "from engine.runpod_sdk import load_runpod; load_runpod()"]
    plain = [sys.executable, "-c", "import runpod"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ours, theirs = medians(rounds, lambda: seconds(quick, environment), lambda: seconds(plain, environment))
    report.figure("the import of RunPod's SDK by the worker, the whole process", ours, "s")
    report.figure("the import of RunPod's SDK as it is", theirs, "s")


def make(folder, count):
    """A folder with so many workflows."""
    for part in ("templates", "schemas"):
        (folder / part).mkdir(parents=True)
        content = (ROOT / part / "txt2img.json").read_bytes()
        for index in range(count):
            (folder / part / f"workflow-{index:05}.json").write_bytes(content)
    return {name: value for name, value in os.environ.items() if not name.startswith(("COMFY_", "WORKFLOWS"))} | {
        "WORKFLOWS_PATH": str(folder),
        "PYTHONPATH": str(ROOT),
    }


def library(report, folder, rounds):
    """Listing and first use, in few workflows and in many."""
    few, many, asked = (make(folder / str(count), count) for count in (FEW, MANY, ASKED))
    listing = [shutil.which("engine", path=str(Path(sys.executable).parent)), "list"]
    for environment, count in ((few, FEW), (many, MANY)):
        done = subprocess.run(listing, env=environment, check=True, capture_output=True, text=True)
        assert len(done.stdout.splitlines()) == count
    little, much = medians(rounds, lambda: seconds(listing, few), lambda: seconds(listing, many))
    report.say(f"`engine list` checks {FEW} workflows, and of {MANY:,} it reads the titles.")
    report.figure(f"`engine list` of {FEW}, the whole process", little * 1000, "ms", digits=0)
    report.figure(f"`engine list` of {MANY:,}", much * 1000, "ms", digits=0)
    report.figure(f"{MANY:,} against {FEW}", much / little, "times", at_most=1.5)
    names = [f"workflow-{index:05}" for index in (0, 1, 17, 4_711, 5_000, 9_998, 9_999)]
    opened, first, *others = map(float, printed(FIRST_RENDER, many, *names).split())
    report.figure(f"opening a catalog of {MANY:,}", opened * 1000, "ms")
    report.figure(
        "the first render of any of them (read, compiled, validated, rendered) in a process that rendered another",
        max(others) * 1000,
        "ms",
        at_most=25,
    )
    report.figure("the very first of a process, with the libraries' imports and the node catalogue", first * 1000, "ms")
    lists = {
        count: list(map(float, printed(ACTION, environment | {"COMFY_SIMULATE": "1"}).split()))
        for count, environment in ((FEW, few), (ASKED, asked))
    }
    report.say('A worker\'s `{"action": "list"}` says of each whether it is ready, for which it has to be loaded once.')
    for count, (cold, warm) in lists.items():
        report.figure(f'`{{"action": "list"}}` of {count:,}, the first time', cold * 1000, "ms", digits=0)
        report.figure(f'`{{"action": "list"}}` of {count:,}, from then on', warm * 1000, "ms", digits=1)


def main():
    parser = options_of(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--rounds", type=bounded(int, 1), default=5, help="of each measurement (%(default)s)")
    options = parser.parse_args()
    report = Report("startup", "Start", " ".join(ABOUT.split()), options.report)
    with comfyui_under_test() as comfy:
        report.say(f"Beside {comfy.words}.")
        start(report, comfy.url, options.rounds)
        stages(report, comfy.url, options.rounds)
    imports(report, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        library(report, Path(folder), options.rounds)
    return report.end()


if __name__ == "__main__":
    exit_with(main)
