"""A worker with several environments: which runs a job, the switch between them, and what is refused."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from support.environment_workers import environment_of, worker_on_volume
from support.environments import class_of, make_environment, starts
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import run_handler

from engine.installations import release_of
from engine.snapshots.lock import Lock

RESIZE = {"workflow": "resize", "payload": {"width": 16}}
HEALTH = {"action": "health"}


@pytest.fixture
def queue():
    with serve_runpod_queue() as queue:
        yield queue


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def worker(queue, volume, tmp_path):
    """Starts a worker on that volume."""
    with contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(worker_on_volume(volume, queue, tmp_path / "log", **more))


def test_each_job_runs_in_the_environment_that_it_names(worker, volume):
    make_environment(volume, "old", version="0.3.64")
    make_environment(volume, "new", version="0.8.0", pack="pack", args="--cpu")
    asked = worker(VERSION_ID="old")
    assert "start" not in asked.run()["timings"]
    assert asked.where() == ("old", "0.3.64")
    assert asked.run("new")["timings"]["start"] > 0
    assert asked.where() == ("new", "0.8.0")
    assert "start" not in asked.run("new")["timings"]
    assert "start" in asked.run("old")["timings"]
    assert "start" in asked.run("new")["timings"]
    assert "start" in asked.run()["timings"]  # its own, and not the one that ran last
    assert asked.where() == ("old", "0.3.64")
    done = asked.done()
    assert done == ["old", "new", "new", "old", "new", "old"]
    began = starts(volume / "comfyui.log")
    assert ["--cpu" in line for line in began] == [False, True, False, True, False]


def test_the_first_screen_names_them(volume, tmp_path):
    make_environment(volume, "a")
    make_environment(volume, "b", lock=False)
    done = run_handler(
        environment_of(volume, VERSION_ID="a"), "--test_input", json.dumps({"input": {"action": "health"}})
    )
    assert done.returncode == 0, done.stderr
    assert "versions   a (this worker's), b (not verified)" in done.stderr
    assert re.search(r"ComfyUI    .*/builds/comfy-a \(the environment a, 0\.8\.0\)", done.stderr)
    assert re.search(r'WARNING an environment is refused environment=b detail="it has no lock', done.stderr)


def test_without_one_of_its_own_a_worker_goes_back_to_what_its_start_found(worker, volume):
    simulated_home(volume / "ComfyUI")
    make_environment(volume, "other", version="0.3.64")
    asked = worker()
    asked.run("other")
    assert asked.where() == ("other", "0.3.64")
    asked.run()
    assert asked.where() == (None, "0.8.0")


def test_jobs_that_wait_are_run_in_their_order(worker, volume):
    for name in ("a", "b"):
        make_environment(volume, name)
    asked = worker(VERSION_ID="a")
    jobs = [asked.submit(name) for name in ("a", "b", None, "b", "b", "a")]
    for job in jobs:
        assert asked.queue.wait(job, 60)["output"]["outputs"]
    done = asked.done()
    assert done == ["a", "b", "a", "b", "b", "a"]


def test_a_wrong_name_is_the_callers_error_and_switches_nothing(worker, volume):
    make_environment(volume, "first")
    make_environment(volume, "second")
    asked = worker(VERSION_ID="first")
    failure = asked.refused("secnd")
    assert failure["code"] == "invalid_request"
    assert failure["message"] == 'version_id: "secnd" is no environment of this worker (did you mean "second"?)'
    assert failure["hint"] == "the environments are: first, second"
    assert asked.refused("second", payload={"width": -1})["code"] == "invalid_payload"
    assert asked.where() == ("first", "0.8.0")
    asked.run()
    assert len(starts(volume / "comfyui.log")) == 1


@pytest.mark.parametrize("has_url", [False, True])
def test_a_worker_without_environments_refuses_every_name(has_url, comfy_url, worker, volume):
    if has_url:
        make_environment(volume, "a")
    else:
        simulated_home(volume / "ComfyUI")
    asked = worker(**({"COMFY_URL": comfy_url} if has_url else {}))
    failure = asked.refused("a")
    assert failure["code"] == "invalid_request"
    assert "version_id: this worker has no environments to choose from" in failure["message"]
    assert asked.health()["environment"] is None


def test_one_that_is_not_as_its_lock_says_is_refused_before_and_after_its_start(worker, volume):
    make_environment(volume, "own")
    make_environment(volume, "no-lock", lock=False)
    make_environment(volume, "no-class", pack="pack", locked={"pack": {"classes": [class_of("pack"), "Gone"]}})
    asked = worker(VERSION_ID="own")
    for name, what in (("no-lock", "it has no lock"), ("no-class", "pack lacks the classes Gone")):
        failure = asked.refused(name)
        assert failure["code"] == "environment_unverified"
        assert failure["message"] == f'the environment "{name}" can\'t be used: it is not verified'
        assert failure["retryable"] is False
        assert "lock" not in (failure["hint"] or "")
        (line,) = asked.lines("code=environment_unverified")[-1:]
        assert what in line
        asked.run()
        assert asked.where() == ("own", "0.8.0")


def test_one_that_was_repaired_is_taken(worker, volume):
    make_environment(volume, "own")
    home = make_environment(volume, "other", locked={"pack": {}})
    asked = worker(VERSION_ID="own")
    assert asked.refused("other")["code"] == "environment_unverified"
    (home / "custom_nodes" / "pack").mkdir(parents=True)
    asked.run("other")


def test_one_that_does_not_start_fails_its_job_and_the_worker_goes_back(worker, volume):
    make_environment(volume, "own")
    make_environment(volume, "broken", faults=[{"fault": "no_start", "times": 9}])
    asked = worker(VERSION_ID="own", COMFY_MOST_CRASHES="1")
    for _ in range(2):
        failure = asked.refused("broken")
        assert failure["code"] == "comfy_unavailable"
        assert failure["retryable"] is True
        assert asked.health()["environment"] == "own"
        asked.run()
    assert asked.where() == ("own", "0.8.0")
    assert not asked.lines("asks to be replaced")  # it is no fault of the machine


def test_crashes_are_counted_for_each_environment(worker, volume):
    make_environment(volume, "own")
    crash = {"fault": "kill", "node": "SaveImage"}
    make_environment(volume, "crashing", faults=[crash, crash, crash, crash])
    asked = worker(VERSION_ID="own", COMFY_MOST_CRASHES="4")
    assert asked.refused("crashing")["code"] == "comfy_unavailable"
    asked.run()  # that goes well, elsewhere
    assert not asked.lines("asks to be replaced")
    assert asked.refused("crashing")["code"] == "comfy_unavailable"
    assert asked.lines("asks to be replaced")


def test_a_job_that_is_cancelled_in_the_switch_ends_and_the_next_one_runs(worker, volume, wait_until):
    make_environment(volume, "own")
    make_environment(volume, "slow", faults=[{"fault": "slow_start", "seconds": 600}])
    asked = worker(VERSION_ID="own")
    asked.run()
    job = asked.submit("slow")
    wait_until(lambda: len(starts(volume / "comfyui.log")) == 2)
    asked.queue.cancel(job)
    asked.run()
    assert asked.where() == ("own", "0.8.0")
    assert asked.lines(" job cancelled ")
    assert asked.queue.result(job) is None


# The first takes the GPU, and fails where another has it; the second ends only when it is killed.
ALONE = """
import fcntl
gpu = open({gpu!r}, "w")
fcntl.flock(gpu, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal = lambda *_: None
"""


def test_two_never_run_at_once_even_where_one_is_slow_to_end_and_its_job_is_cancelled(worker, volume, wait_until):
    for name in ("own", "other"):
        main = make_environment(volume, name) / "main.py"
        alone = ALONE.format(gpu=str(volume / "gpu"))
        main.write_text(alone + (STUBBORN if name == "own" else "") + main.read_text())
    asked = worker(VERSION_ID="own", COMFY_STOP_SECONDS="4")
    asked.run()
    cancelled = asked.submit("other")
    wait_until(lambda: asked.lines("ComfyUI is ended"))
    asked.queue.cancel(cancelled)
    wait_until(lambda: asked.lines(" job cancelled "))
    assert len(starts(volume / "comfyui.log")) == 1  # the other has not begun
    asked.run()
    asked.run("other")
    assert asked.where() == ("other", "0.8.0")


def test_what_the_running_one_has_follows_the_switch(worker, volume, tmp_path):
    make_environment(volume, "own")
    home = make_environment(volume, "other")
    graph = tmp_path / "graphs" / "one.json"
    graph.parent.mkdir()
    loader = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "theirs.safetensors"}}
    graph.write_text(json.dumps({"1": loader}))
    simulated_home(home, templates=graph.parent)
    asked = worker(VERSION_ID="own")
    payload = {"prompt": "x", "steps": 1, "width": 64, "height": 64, "ckpt_name": "theirs.safetensors"}
    job = {"workflow": "txt2img", "payload": payload}
    assert "ckpt_name" in asked.refused(**job)["message"]
    asked.run("other", **job)
    described = {"action": "describe", "workflow": "txt2img"}
    here = asked.queue.wait(asked.queue.submit(described | {"version_id": "other"}), 60)["output"]
    elsewhere = asked.queue.wait(asked.queue.submit(described), 60)["output"]
    assert "theirs.safetensors" in json.dumps(here)
    assert "theirs.safetensors" not in json.dumps(elsewhere)
    assert "ckpt_name" in asked.refused(**job)["message"]


def test_the_warm_up_is_for_the_workers_own(worker, volume):
    for name in ("own", "other"):
        make_environment(volume, name)
    asked = worker(VERSION_ID="own", WARMUP_WORKFLOW="resize", COMFY_START="first_job")
    asked.run("other")
    assert not asked.lines("warmed up")
    asked.run()
    assert len(asked.lines("warmed up ")) == 1
    assert len(starts(volume / "comfyui.log")) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"VERSION_ID": "goood"}, 'did you mean "good"?'),
        ({"VERSION_ID": "bad"}, "the environment bad: the pack gone is missing"),
        ({"VERSION_ID": "lacking"}, "lacks the classes Gone"),
        ({"VERSION_ID": "good", "COMFY_URL": "http://127.0.0.1:1"}, "COMFY_URL names another ComfyUI"),
        ({}, "VERSION_ID to one of these environments: bad, good, lacking"),
    ],
)
def test_a_worker_whose_own_can_not_be_used_ends_and_says_why(volume, settings, words):
    make_environment(volume, "good")
    make_environment(volume, "bad", locked={"gone": {}})
    make_environment(volume, "lacking", pack="pack", locked={"pack": {"classes": [class_of("pack"), "Gone"]}})
    done = run_handler(environment_of(volume, **settings), "--test_input", json.dumps({"input": HEALTH}))
    assert done.returncode == 1
    (line,) = [each for each in done.stderr.splitlines() if "the worker can't start" in each]
    assert words in line.replace('\\"', '"')


PACK = """
import torch

class Paint:
    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "paint", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def paint(self):
        return (torch.zeros(1, 8, 8, 3),)

NODE_CLASS_MAPPINGS = {%r: Paint}
"""


def painted_by(class_type):
    return {
        "1": {"class_type": class_type, "inputs": {}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "painted"}},
    }


@pytest.mark.comfyui
@pytest.mark.timeout(400)
def test_environments_of_the_real_comfyui_have_their_own_packs(worker, volume, comfy_variables, tmp_path):
    home = Path(comfy_variables["COMFY_HOME"]).resolve()
    version = release_of(home)
    for name, lacking in (("one", ()), ("two", ()), ("three", ("Gone",))):
        base = tmp_path / name
        (base / "custom_nodes" / f"pack-{name}").mkdir(parents=True)
        for each in ("input", "output", "models"):
            (base / each).mkdir()
        (base / "custom_nodes" / f"pack-{name}" / "__init__.py").write_text(PACK % f"Paint {name}")
        versions = volume / "versions"
        versions.mkdir(exist_ok=True)
        document = {
            "comfyui": str(home),
            "python": comfy_variables.get("COMFY_PYTHON"),
            "args": f"{comfy_variables['COMFY_ARGS']} --base-directory {base}",  # the last one counts
        }
        (versions / f"{name}.json").write_text(json.dumps(document))
        packs = {f"pack-{name}": {"classes": [f"Paint {name}", *lacking]}}
        lock = Lock.model_validate({"comfyui": {"version": version}, "packs": packs})
        (versions / f"{name}.lock.json").write_text(lock.text())
    asked = worker(VERSION_ID="one", ALLOW_RAW_WORKFLOWS="true")
    for name, other in (("one", "two"), ("two", "one")):
        assert asked.run(name, workflow=painted_by(f"Paint {name}"))
        assert asked.where() == (name, version)
        assert asked.refused(name, workflow=painted_by(f"Paint {other}"))["code"] == "graph_rejected"
    failure = asked.refused("three", workflow=painted_by("Paint three"))
    assert failure["code"] == "environment_unverified"
    assert asked.lines("pack-three lacks the classes Gone")
    assert asked.run(workflow=painted_by("Paint one"))
