"""A supervised ComfyUI that is closed, restarted or can't be killed while jobs are at it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.runners import runner_on
from support.simulated_home import simulated_home
from support.workflows import ROOT

from engine import Catalog
from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.comfyui import Bounds, ComfyProcess, ComfyUI, Supervisor
from engine.comfyui.supervisor import pause_seconds
from engine.envelope import answer
from engine.errors import ComfyUnavailable
from engine.settings import Settings

ENDLESS = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "seed": 7, "steps": 150}}


class Unkillable(ComfyProcess):
    """Stands in for one that waits for a driver that never answers: no signal reaches it until it is let go."""

    stuck = False

    def kill(self):
        if not self.stuck:
            super().kill()


@pytest.fixture
def start(tmp_path):
    opened = []

    def start(faults=(), *, step_seconds=0.0, kind=ComfyProcess):
        home = simulated_home(tmp_path / "home", faults, step_seconds=step_seconds)
        process = kind(home, log_file=tmp_path / "comfyui.log", start_timeout=60, stop_timeout=5)
        supervisor = Supervisor(process)
        opened.append(supervisor)
        return supervisor

    yield start
    for each in opened:
        each.close()


def up(supervisor):
    supervisor.wait_until_up(CancellationToken())


def test_a_job_that_runs_when_comfyui_is_closed_ends(start, tmp_path):
    supervisor = start(step_seconds=0.2)
    begun = threading.Event()

    def on_progress(progress):
        if progress.step >= 1:
            begun.set()

    with ComfyUI(supervisor.process.url, watch=supervisor, bounds=Bounds()) as comfy, ThreadPoolExecutor(1) as pool:
        job = pool.submit(answer, ENDLESS, runner_on(comfy, tmp_path), job_id="job-1", on_progress=on_progress)
        assert begun.wait(60)
        supervisor.close()
        failure = job.result(10)["failure"]

    assert failure["code"] == "comfy_unavailable"
    assert failure["retryable"]
    assert not supervisor.process.alive


def test_a_job_that_waits_for_the_start_when_comfyui_is_closed_ends(start, wait_until):
    supervisor = start([{"fault": "slow_start", "seconds": 60}])
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(up, supervisor)
        wait_until(lambda: supervisor.process.alive)
        supervisor.close()
        assert isinstance(job.exception(10), ComfyUnavailable)
    assert not supervisor.process.alive


def test_nothing_is_started_once_it_was_closed(start):
    supervisor = start()
    supervisor.close()

    with pytest.raises(ComfyUnavailable, match="the worker ends"):
        up(supervisor)
    assert not supervisor.process.alive


def test_a_job_that_goes_on_after_the_end_opens_no_comfyui(tmp_path):
    home = simulated_home(tmp_path / "home", [])
    settings = Settings(comfy_home=home, comfy_log=tmp_path / "comfyui.log")
    with Backend(settings, Catalog([ROOT]), simulate=False) as backend:
        backend.comfy()

    with pytest.raises(ComfyUnavailable, match="the worker ends"):
        backend.comfy()


def test_a_restart_for_a_process_that_is_gone_leaves_the_next_one_alone(start, wait_until):
    supervisor = start()
    up(supervisor)
    first, old = supervisor.process.pid, supervisor.generation
    supervisor.restart("it hangs", old)
    wait_until(lambda: supervisor.generation > old)
    second = supervisor.process.pid

    supervisor.restart("it hung, says a job that was slow to notice", old)

    assert first != second
    assert supervisor.started
    assert supervisor.process.pid == second
    assert supervisor.process.alive


def test_many_jobs_that_ask_for_a_restart_get_one(start, wait_until):
    supervisor = start()
    up(supervisor)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: supervisor.restart(f"says {number}", 1), range(8)))
    up(supervisor)

    assert (supervisor.generation, supervisor.crashes_in_a_row) == (2, 1)


def test_one_that_cannot_be_killed_wears_its_machine_out(start):
    supervisor = start(kind=Unkillable)
    up(supervisor)
    supervisor.process.stuck = True
    supervisor.process.start_timeout = supervisor.process.stop_timeout = 0.2
    supervisor.restart("it hangs")

    with pytest.raises(ComfyUnavailable, match="did not start within"):
        up(supervisor)

    assert "did not start within" in supervisor.worn_out
    supervisor.process.stuck = False
    supervisor.process.stop_timeout = 5


def test_the_pauses_between_starts_grow_to_a_bound():
    pauses = [pause_seconds(crashes) for crashes in range(5000)]

    assert pauses[:5] == [0, 0, 0.5, 1, 2]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30


def test_arguments_that_no_process_can_have_are_told(tmp_path):
    home = simulated_home(tmp_path / "home", [])
    process = ComfyProcess(home, args=["--cpu\0"], log_file=tmp_path / "comfyui.log")

    with pytest.raises(ComfyUnavailable, match="can't be started: ValueError"):
        process.start()


def test_a_watcher_that_fails_goes_on(tmp_path, wait_until):
    """What it asks the kernel may fail in ways that nobody knows of."""
    answers = iter([RuntimeError("odd")])

    def count():
        for error in answers:
            raise error
        return 0

    home = simulated_home(tmp_path / "home", [])
    process = ComfyProcess(home, log_file=tmp_path / "comfyui.log", start_timeout=60, stop_timeout=5)
    supervisor = Supervisor(process, memory_kills=count)
    try:
        with pytest.raises(ComfyUnavailable, match="RuntimeError"):
            up(supervisor)
        wait_until(lambda: supervisor.started)
    finally:
        supervisor.close()
