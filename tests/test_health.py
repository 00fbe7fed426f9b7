"""Health: what a caller is told of the worker, and that asking costs and starts nothing."""

import json
import socket
import threading

import pytest
from support.runners import runner_on
from support.simulated_home import simulated_home
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.comfyui import ComfyProcess, ComfyUI, Supervisor
from engine.envelope import answer
from engine.errors import ComfyUnavailable
from engine.health import health
from engine.machine import disk, memory
from engine.tally import LastError, now


def asked(runner):
    return answer({"action": "health"}, runner, job_id="job-1")


def test_a_worker_that_works(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path)
    answer({"workflow": "resize", "payload": {"width": 9, "height": 9}}, runner, job_id="job-1")
    answer({"workflow": "resize", "payload": {"width": -1}}, runner, job_id="job-2")
    told = asked(runner)
    assert told["status"] == "ok"
    system = comfy.system_stats()["system"]
    assert told["comfyui"]["version"] == system["comfyui_version"]
    assert system["python_version"].startswith(told["comfyui"]["python"])
    assert told["comfyui"]["pytorch"]
    device, *_ = told["devices"]
    assert device["name"]
    assert 0 < device["vram_free_bytes"] <= device["vram_total_bytes"]
    counts = {"ready": len(Catalog([ROOT])), "not_ready": 0, "broken": 0}
    assert told["workflows"] == {**counts, "problems": [], "missing": []}
    assert told["models_fetch"] is None
    assert 0 < told["memory"]["free_bytes"] <= told["memory"]["total_bytes"]
    assert set(told["disk"]) >= {"temporary", "output"}
    assert told["jobs"] == {"done": 1, "failed": {"invalid_payload": 1}, "cancelled": 0, "running": 0, "at_once": 1}
    assert told["last_failure"] is None
    assert told["uptime_seconds"] >= 0


def test_it_reads_little_of_comfyui(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path)
    asked(runner)
    assert runner.live.known is None  # the node classes are 2 MB


def test_a_broken_workflow_is_named(comfy, tmp_path):
    write_workflow(tmp_path / "more", "broken", {"1": {"class_type": "X", "inputs": {}}}, {"parametres": {}})
    told = asked(runner_on(comfy, tmp_path, Catalog([ROOT, tmp_path / "more"])))
    assert told["status"] == "degraded"
    assert told["workflows"]["broken"] == 1
    (problem,) = told["workflows"]["problems"]
    assert problem["name"] == "broken"
    assert "parametres" in problem["message"]


def test_one_that_does_not_answer(tmp_path, unused_port):
    with ComfyUI(f"http://127.0.0.1:{unused_port}") as comfy:
        told = asked(runner_on(comfy, tmp_path))
    assert told["status"] == "unavailable"
    assert told["comfyui"] == {"running": False, "error": "no ComfyUI answers at (an address)"}


def test_one_that_hangs_is_not_waited_for(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with ComfyUI(f"http://127.0.0.1:{port}", read_timeout=5) as comfy:
            told = health(runner_on(comfy, tmp_path), patience_seconds=0.1)
            silent.accept()[0].close()
            for thread in threading.enumerate():
                if thread.name == "health":
                    thread.join(30)
    assert told["status"] == "unavailable"
    assert told["comfyui"]["error"] == "ComfyUI did not answer within 0.1 s"


def test_one_that_was_not_started_stays_so(tmp_path):
    process = ComfyProcess(simulated_home(tmp_path / "home"), log_file=tmp_path / "comfyui.log")
    with ComfyUI(process.url, watch=Supervisor(process)) as comfy:
        runner = runner_on(comfy, tmp_path)
        assert asked(runner)["status"] == "starting"
        assert not process.alive
        comfy.ready()
        assert asked(runner)["status"] == "ok"


class WornOut:
    started = True
    worn_out = "ComfyUI at http://10.0.0.1:8188 crashed 3 times, see /var/log/comfyui.log"

    def system_stats(self):
        return {"system": {"comfyui_version": "0.8.0"}, "devices": None}


def test_one_that_had_better_be_replaced(tmp_path):
    told = asked(runner_on(WornOut(), tmp_path))
    assert told["status"] == "degraded"
    assert told["worn_out"] == "ComfyUI at (an address) crashed 3 times, see (a path)"
    assert told["devices"] == []


def test_the_last_failure_is_told_without_what_is_ours(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path)
    runner.tally.begun()
    message = "no ComfyUI answers at http://127.0.0.1:8188/x; /workspace/ComfyUI/main.py is missing; see schemas/a.json"
    runner.tally.failed("comfy_unavailable", last=LastError("comfy_unavailable", message, "job-7", now()))
    told = asked(runner)["last_failure"]
    assert told["when"].endswith("Z")
    assert (told["code"], told["job_id"]) == ("comfy_unavailable", "job-7")
    assert told["message"] == "no ComfyUI answers at (an address) (a path) is missing; see schemas/a.json"


def test_nothing_internal_is_told(comfy, tmp_path):
    def gone():
        raise ComfyUnavailable("no answer", detail=f"Traceback in {tmp_path}")

    for runner in (runner_on(comfy, tmp_path), runner_on(gone, tmp_path)):
        answer({"workflow": "resize", "payload": {"width": 9}}, runner, job_id="job-1")
        told = json.dumps(asked(runner))
        assert str(tmp_path) not in told
        assert "Traceback" not in told
        assert "127.0.0.1" not in told


def machine(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory(folder)


MEMINFO = {
    "proc/meminfo": "MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    600 kB\nHugePages_Total: 0\n"
}


@pytest.mark.parametrize(
    ("files", "space"),
    [
        (MEMINFO, (1_024_000, 614_400)),
        ({}, None),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "500000\n",
                "sys/fs/cgroup/memory.current": "300000\n",
                "sys/fs/cgroup/memory.stat": "anon 100000\ninactive_file 50000\n",
            },
            (500_000, 250_000),
        ),
        (
            {
                "proc/self/cgroup": "0::/pod/container\n",
                "sys/fs/cgroup/pod/container/memory.max": "max\n",
                "sys/fs/cgroup/pod/container/memory.current": "300000\n",
                "sys/fs/cgroup/pod/memory.max": "400000\n",
                "sys/fs/cgroup/pod/memory.current": "350000\n",
            },
            (400_000, 50_000),
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/x\n9:memory:/docker/abc\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "500000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "300000\n",
                "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100000\n",
            },
            (500_000, 300_000),
        ),
        (
            {
                "proc/self/cgroup": "9:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "300000\n",
            },
            (1_024_000, 614_400),
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "500000\n",
                "sys/fs/cgroup/memory.current": "600000\n",
            },
            (500_000, 0),
        ),
    ],
    ids=["machine", "nothing known", "v2", "a narrower parent", "v1", "v1 without a bound", "over the bound"],
)
def test_memory_is_the_containers_where_it_has_a_bound(tmp_path, files, space):
    assert machine(tmp_path, {**MEMINFO, **files} if files else {}) == space


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path):
    assert disk(tmp_path / "a" / "b").total_bytes == disk(tmp_path).total_bytes
