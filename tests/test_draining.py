"""How a worker ends: through the RunPod SDK, with a queue that holds a take for longer than any test lasts."""

import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests
from support.runpod_queue import serve_runpod_queue
from support.worker import OWN_WORKER, running_script, running_worker, worker_environment
from support.workflows import ROOT

from engine.comfyui import ComfyUI
from engine.simulator import Simulator

END_SECONDS = 40  # far below what the queue holds a take for, far above what an end takes
FAILURE = {
    "code": "cancelled",
    "message": "the worker was shut down before the job was done",
    "hint": "send the job again",
    "retryable": True,
    "problems": [],
}


@pytest.fixture
def queue():
    with serve_runpod_queue(hold_seconds=110) as queue:
        yield queue


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture(scope="module")
def slow_comfy(comfy_url, checkpoint):
    """A ComfyUI on which no job of 150 steps ends while a test lasts: the tests' own, where that one is real."""
    with ComfyUI(comfy_url) as comfy:
        if comfy.system_stats()["system"]["pytorch_version"] != "simulated":
            yield comfy
            return
    choices = {"CheckpointLoaderSimple.ckpt_name": [checkpoint]}
    with Simulator(choices=choices, step_seconds=0.5) as simulator, ComfyUI(simulator.url) as comfy:
        yield comfy


def environment(comfy_url, queue, **more):
    return worker_environment(comfy_url, **queue.environment(), **more)


def long_job(checkpoint, seed, steps=150, size=128):
    payload = {"prompt": "x", "steps": steps, "width": size, "height": size, "ckpt_name": checkpoint, "seed": seed}
    return {"workflow": "txt2img", "payload": payload}


def ended_well(process):
    return process.wait(END_SECONDS) == 0


def test_an_idle_worker_ends_at_once_though_its_take_is_held(comfy_url, queue, log):
    with running_worker(environment(comfy_url, queue), log) as process:
        queue.wait(queue.submit({"action": "list"}), 60)
        process.send_signal(signal.SIGTERM)
        assert ended_well(process)
    assert "Traceback" not in log.read_text()


def test_a_job_that_is_done_in_time_is_finished_and_no_other_is_taken(comfy_url, queue, checkpoint, log):
    with running_worker(environment(comfy_url, queue, DRAIN_SECONDS="100"), log) as process:
        job = queue.submit(long_job(checkpoint, 21, steps=60, size=64))
        queue.wait_progress(job, timeout=60)
        process.send_signal(signal.SIGTERM)
        other = queue.submit({"action": "list"})
        assert queue.wait(job, 100)["output"]["outputs"]
        assert ended_well(process)
    assert queue.posts(other) == []
    assert "Traceback" not in log.read_text()


def test_a_job_that_is_not_done_in_time_is_interrupted_and_can_be_sent_again(queue, checkpoint, slow_comfy, log):
    with running_worker(environment(slow_comfy.client.url, queue, DRAIN_SECONDS="0.5"), log) as process:
        job = queue.submit(long_job(checkpoint, 22))
        queue.wait_progress(job, timeout=60)
        process.send_signal(signal.SIGTERM)
        posted = queue.wait(job, END_SECONDS)
        assert ended_well(process)
    assert posted["error"] == "cancelled: the worker was shut down before the job was done. Send the job again."
    assert posted["output"]["failure"] == FAILURE
    assert len([post for post in queue.posts(job) if post.get("status") != "IN_PROGRESS"]) == 1
    assert not any(slow_comfy.client.queue())


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]]
)
def test_ctrl_c_and_a_second_signal_wait_for_no_job(queue, checkpoint, slow_comfy, log, signals, wait_until):
    with running_worker(environment(slow_comfy.client.url, queue, DRAIN_SECONDS="600"), log) as process:
        job = queue.submit(long_job(checkpoint, 23))
        queue.wait_progress(job, timeout=60)
        for number in signals:
            process.send_signal(number)
            wait_until(lambda: f"{signal.Signals(number).name}" in log.read_text())  # noqa: B023 - called before the next
        assert queue.wait(job, END_SECONDS)["output"]["failure"] == FAILURE
        assert ended_well(process)
    assert not any(slow_comfy.client.queue())


def test_a_job_that_its_caller_cancels_meanwhile_is_cancelled(queue, checkpoint, slow_comfy, log):
    with running_worker(environment(slow_comfy.client.url, queue, DRAIN_SECONDS="100"), log) as process:
        job = queue.submit(long_job(checkpoint, 24))
        queue.wait_progress(job, timeout=60)
        process.send_signal(signal.SIGTERM)
        queue.cancel(job)
        assert ended_well(process)
    assert queue.result(job) is None
    assert not any(slow_comfy.client.queue())


class SilentServer:
    """Takes connections and never answers."""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (self._listener, *self._connections):
            each.close()


def test_a_job_that_heeds_nothing_is_answered_for(queue, log, wait_until):
    """It waits for a ComfyUI that takes connections and says nothing, for as long as a request may."""
    with SilentServer() as silent:
        settings = {"COMFY_START": "first_job", "DRAIN_SECONDS": "0"}
        with running_worker(environment(silent.url, queue, **settings), log) as process:
            job = queue.submit({"workflow": "resize", "payload": {"width": 16}})
            wait_until(lambda: f"job taken job_id={job}" in log.read_text())  # the start has asked as well
            process.send_signal(signal.SIGTERM)
            assert queue.wait(job, END_SECONDS)["output"]["failure"] == FAILURE
            assert process.wait(END_SECONDS) == 0


def test_a_signal_during_the_start_ends_it(queue, log, wait_until, tmp_path):
    home = tmp_path / "never"
    home.mkdir()
    (home / "main.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)\n")
    variables = environment("", queue, COMFY_HOME=str(home), COMFY_LOG=str(tmp_path / "comfyui.log"))
    with running_worker(variables, log) as process:
        wait_until((home / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert ended_well(process)
    assert "Traceback" not in log.read_text()


SIMULATED_HOME = """
import argparse, time
from engine.simulator import Simulator
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
options, _ = parser.parse_known_args()
print("port", options.port, flush=True)
with Simulator(port=options.port):
    time.sleep(600)
"""


def test_the_comfyui_that_the_worker_started_ends_with_it(queue, log, tmp_path, unused_port):
    home = tmp_path / "home"
    home.mkdir()
    (home / "main.py").write_text(SIMULATED_HOME)
    variables = environment("", queue, COMFY_HOME=str(home), COMFY_LOG=str(tmp_path / "comfyui.log"))
    with running_worker(variables, log) as process:
        health = queue.wait(queue.submit({"workflow": "resize", "payload": {"width": 16}}), 60)
        assert health["output"]["outputs"], json.dumps(health)
        process.send_signal(signal.SIGTERM)
        assert ended_well(process)
    port = next(line for line in (tmp_path / "comfyui.log").read_text().splitlines() if line.startswith("port "))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port.split()[1]}/system_stats", timeout=5)


def test_several_jobs_at_once_are_answered_each(queue, checkpoint, slow_comfy, log, wait_until):
    variables = environment(slow_comfy.client.url, queue, DRAIN_SECONDS="0.5", AT_ONCE="4")
    with running_script(OWN_WORKER, variables, log) as process:
        jobs = [queue.submit(long_job(checkpoint, 25 + number)) for number in range(4)]
        for job in jobs:
            queue.wait_taken(job, 60)
        wait_until(lambda: all(slow_comfy.client.queue()))  # one executes, one is next, two stand in line for that
        process.send_signal(signal.SIGTERM)
        assert [queue.wait(job, END_SECONDS)["output"]["failure"] for job in jobs] == [FAILURE] * 4
        assert ended_well(process)
    assert not any(slow_comfy.client.queue())


def test_a_job_that_was_asked_for_before_the_end_is_answered_and_no_other_is_asked_for(
    slow_comfy, queue, checkpoint, log, wait_until
):
    """With room for another job, the SDK asks for one while the first runs; then the worker is told to end."""
    variables = environment(slow_comfy.client.url, queue, DRAIN_SECONDS="600", AT_ONCE="4")
    with running_script(OWN_WORKER, variables, log) as process:
        job = queue.submit(long_job(checkpoint, 29))
        queue.wait_progress(job, timeout=60)
        queue.wait_asked()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: "told to end" in log.read_text())
        assert queue.wait(queue.submit({"action": "list"}), 30)["output"]["workflows"]
        other = queue.submit({"action": "list"})
        queue.cancel(job)
        assert ended_well(process)
    assert queue.waiting() == [other]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_single_job_at_a_terminal_can_be_stopped(checkpoint, slow_comfy, log, number, wait_until):
    request = json.dumps({"input": long_job(checkpoint, 30)})
    arguments = [sys.executable, str(ROOT / "handler.py"), "--test_input", request]
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, env=worker_environment(slow_comfy.client.url), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: slow_comfy.client.queue()[0])
        process.send_signal(number)
        assert process.wait(END_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert not any(slow_comfy.client.queue())
    assert "Traceback" not in log.read_text()
