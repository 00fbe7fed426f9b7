"""How a worker starts: with ComfyUI or before it, warmed up, on a volume that comes late."""

import os
import re
import signal

import pytest
import requests
from support.runners import runner_on
from support.runpod_queue import serve_runpod_queue
from support.worker import run_handler, running_worker, worker_environment
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.simulator import Simulator
from engine.warming import WarmUp

RESIZE = {"workflow": "resize", "payload": {"width": 16}}
LISTING = '{"input": {"action": "list"}}'

# A ComfyUI to start that is the simulator.
MAIN = """
import argparse, pathlib, time
from engine.simulator import Simulator
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
options, _ = parser.parse_known_args()
with Simulator(port=options.port):
    with open("starts", "a") as starts:
        starts.write("start\\n")
    time.sleep(600)
"""


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "comfyui"
    folder.mkdir()
    (folder / "main.py").write_text(MAIN)
    return folder


@pytest.fixture
def queue():
    with serve_runpod_queue() as queue:
        yield queue


def variables(home, queue=None, **more):
    own = {"COMFY_HOME": str(home), "COMFY_LOG": str(home / "log"), **(queue.environment() if queue else {})}
    return worker_environment("", **own, **more)


def starts(home):
    return len((home / "starts").read_text().splitlines()) if (home / "starts").exists() else 0


def test_at_boot_comfyui_runs_before_the_first_job(home, queue, wait_until, tmp_path):
    with running_worker(variables(home, queue), tmp_path / "log"):
        wait_until(lambda: starts(home))
        assert queue.wait(queue.submit(RESIZE), 60)["output"]["outputs"]
    assert starts(home) == 1


def test_with_the_first_job_it_is_started_by_the_one_that_needs_it(home, queue, tmp_path):
    with running_worker(variables(home, queue, COMFY_START="first_job"), tmp_path / "log"):
        assert queue.wait(queue.submit({"action": "list"}), 60)["output"]["workflows"]
        assert starts(home) == 0
        assert queue.wait(queue.submit(RESIZE), 60)["output"]["outputs"]
        assert queue.wait(queue.submit(RESIZE), 60)["output"]["outputs"]
    assert starts(home) == 1


def test_a_listing_needs_no_comfyui_that_works(tmp_path, home):
    (home / "main.py").write_text("raise SystemExit(3)")
    assert run_handler(variables(home, COMFY_START="first_job"), "--test_input", LISTING).returncode == 0
    assert run_handler(variables(home), "--test_input", LISTING).returncode == 1


def test_why_comfyui_does_not_start_is_said_in_words_and_its_own_log_beside_them_once(home):
    (home / "main.py").write_text("import a_module_that_is_missing")
    done = run_handler(variables(home), "--test_input", LISTING)
    lines = [line for line in done.stderr.splitlines() if "ComfyUI" in line]
    (last,) = [line for line in lines if "CRITICAL" in line]
    assert "the worker can't start: comfy_unavailable: ComfyUI was started and ended at once with status 1" in last
    told = [line for line in lines if "No module named" in line]
    assert [re.search(r' detail="', line) is not None for line in told] == [True] * len(told)
    assert len(told) == 2, done.stderr  # by the start that failed, and by the worker that gives up for it
    assert done.stderr.count("No module named") == 2


def test_an_unknown_way_to_start_is_refused(comfy_url):
    done = run_handler(worker_environment(comfy_url, COMFY_START="later"), "--test_input", LISTING)
    assert done.returncode == 1
    assert "COMFY_START" in done.stderr


def warmed(queue, environment, log):
    """What a worker with a warm-up says and does: its log, and the answer to its first job."""
    with running_worker(environment, log) as process:
        posted = queue.wait(queue.submit(RESIZE), 60)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return log.read_text(), posted


@pytest.mark.parametrize("start", ["boot", "first_job"])
def test_a_warm_up_runs_once_before_the_first_job_and_leaves_nothing(queue, tmp_path, start):
    with Simulator() as simulator:
        folders = simulator.folders.base
        settings = {"COMFY_START": start, "WARMUP_WORKFLOW": "resize", "COMFY_FOLDER": str(folders)}
        environment = worker_environment(simulator.url, **queue.environment(), **settings)
        said, posted = warmed(queue, environment, tmp_path / "log")
        assert posted["output"]["outputs"]
        assert len(re.findall("warmed up workflow=resize seconds=", said)) == 1
        assert [path for part in ("input", "output", "temp") for path in (folders / part).rglob("*.png")] == []
        assert requests.get(f"{simulator.url}/history", timeout=10).json() == {}


@pytest.mark.parametrize("start", ["boot", "first_job"])
@pytest.mark.parametrize(("name", "words"), [("resise", 'did you mean "resize"?'), ("failing", "graph_rejected")])
def test_a_warm_up_that_fails_is_a_warning(comfy_url, queue, tmp_path, start, name, words):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    graph["3"] = {
        "class_type": "ImageScale",
        "inputs": {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"},
    }
    graph["2"]["inputs"]["images"] = ["3", 0]
    parameters = {
        "method": {"type": "string", "choices": False, "default": "magic", "bind": "$['3'].inputs.upscale_method"}
    }
    own = write_workflow(
        tmp_path / "own", "failing", graph, {"parameters": parameters, "outputs": {"image": {"node": "2"}}}
    )
    settings = {
        "COMFY_START": start,
        "WARMUP_WORKFLOW": name,
        "WORKFLOWS_PATH": os.pathsep.join([str(own), str(ROOT)]),
    }
    environment = worker_environment(comfy_url, **queue.environment(), **settings)
    said, posted = warmed(queue, environment, tmp_path / "log")
    assert posted["output"]["outputs"]
    (line,) = [line for line in said.splitlines() if "no warm-up" in line]
    assert "WARNING" in line
    assert words in line.replace('\\"', '"')


def test_a_rehearsal_delivers_nothing(comfy, tmp_path):
    runner_on(comfy, tmp_path).rehearse("resize")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.*"))


def test_a_warm_up_ends_with_the_job_that_it_came_before(comfy, tmp_path):
    cancel = CancellationToken()
    cancel.cancel()
    warm_up = WarmUp(runner_on(comfy, tmp_path, Catalog([ROOT])), "resize")
    with pytest.raises(Cancelled):
        warm_up(cancel)
    warm_up(cancel)  # it is not tried again


def test_a_worker_waits_for_the_volume_that_its_comfyui_is_on(home, queue, tmp_path, wait_until):
    volume, log = tmp_path / "volume", tmp_path / "log"
    settings = {"VOLUME_PATH": str(volume), "VOLUME_WAIT_SECONDS": "60", "COMFY_HOME": str(volume / "comfyui")}
    environment = variables(home, queue) | settings | {"COMFY_LOG": str(volume / "comfyui.log")}
    with running_worker(environment, log):
        wait_until(lambda: "waiting up to 60 s" in log.read_text())
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        home.rename(elsewhere / "comfyui")
        elsewhere.rename(volume)
        assert queue.wait(queue.submit(RESIZE), 60)["output"]["outputs"]


def test_a_volume_that_does_not_come_ends_the_worker_with_the_reason(comfy_url, tmp_path):
    settings = {
        "VOLUME_PATH": str(tmp_path / "v"),
        "VOLUME_WAIT_SECONDS": "0.3",
        "WORKFLOWS_PATH": str(tmp_path / "v/w"),
    }
    done = run_handler(worker_environment(comfy_url, **settings), "--test_input", LISTING)
    assert done.returncode == 1
    assert "WORKFLOWS_PATH" in done.stderr
    assert "attach a network volume" in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_can_be_turned_off(comfy_url, queue, checkpoint, tmp_path):
    payload = {"prompt": "x", "steps": 60, "width": 64, "height": 64, "ckpt_name": checkpoint, "seed": 41}
    environment = worker_environment(comfy_url, **queue.environment(), RUNPOD_PROGRESS="0")
    with running_worker(environment, tmp_path / "log"):
        job = queue.submit({"workflow": "txt2img", "payload": payload})
        assert queue.wait(job, 90)["output"]["outputs"]
    assert len(queue.posts(job)) == 1
