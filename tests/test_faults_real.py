"""What is done to a real ComfyUI: it is killed, stopped and cut off while it samples."""

import os
import signal

import pytest
from support.fault_cases import DONE, Bench, pixels, scratch_below
from support.proxy import CuttableProxy
from support.reliability import record

from engine.comfyui import ComfyUI, SharedFolders

CHECKPOINT = "random_sd15.safetensors"
PAYLOAD = {"ckpt_name": CHECKPOINT, "steps": 3}
LONGER = {"ckpt_name": CHECKPOINT, "steps": 12}
ENDLESS = {"ckpt_name": CHECKPOINT, "steps": 150}
pytestmark = [pytest.mark.comfyui, pytest.mark.timeout(400)]


class Once:
    """Does something at the first step that is told."""

    def __init__(self, do):
        self._do, self.done = do, False

    def __call__(self, progress):
        if progress.step >= 2 and not self.done:
            self.done = True
            self._do()


def where(comfy):
    return f"ComfyUI {comfy.client.system_stats()['system']['comfyui_version']}"


@pytest.fixture
def bench(comfy_process_and_base, tmp_path):
    """A real ComfyUI of the test's own, watched by the engine."""
    from engine.comfyui import Bounds, Supervisor

    process, base = comfy_process_and_base
    supervisor = Supervisor(process, silent_seconds=10.0)
    folders = SharedFolders.below(base)
    with ComfyUI(process.url, folders=folders, watch=supervisor, bounds=Bounds(silent=10.0)) as comfy:
        comfy.ready()
        bench = Bench(comfy, tmp_path, {}, base)
        comfy.node_catalogue()  # some nodes make a folder of theirs (input/3d) when they are described
        bench.own = bench.contents()
        with scratch_below(bench.scratch):
            yield bench
        bench.close()


def right_next(bench, comfy, seed, right):
    following = bench.run(seed, job_id="job-next", **PAYLOAD)
    assert following.end == DONE, following.reply
    assert pixels(following.reply) == right
    assert not any(comfy.client.queue())
    assert bench.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_one_that_dies_mid_sampling_is_started_again_and_the_job_run_again(number, bench, request):
    comfy = bench.comfy
    right = pixels(bench.run(2, **PAYLOAD).reply)
    own, place = pixels(bench.run(1, **LONGER).reply), where(comfy)
    hit = Once(lambda: os.kill(comfy.watch.process.pid, number))

    bench.run(3, **PAYLOAD)  # so that nothing of the job is cached
    trial = bench.run(1, at_step=hit, **LONGER)

    record(request, f"{number.name} mid-sampling", place, trial.end, trial.seconds)
    assert hit.done
    assert trial.end == DONE, trial.reply
    assert pixels(trial.reply) == own
    right_next(bench, comfy, 2, right)


def test_a_socket_that_is_cut_mid_sampling_changes_nothing(bench, request, tmp_path):
    right = pixels(bench.run(2, **PAYLOAD).reply)
    own = pixels(bench.run(1, **LONGER).reply)
    bench.run(3, **PAYLOAD)
    with CuttableProxy(bench.comfy.client.url) as proxy:
        folders = SharedFolders.below(bench.base)
        with ComfyUI(proxy.url, folders=folders) as comfy:
            through = Bench(comfy, tmp_path, {}, bench.base)
            through.own = bench.own
            trial = through.run(1, at_step=Once(proxy.cut_websockets), **LONGER)
            record(request, "the websocket is cut mid-sampling", where(comfy), trial.end, trial.seconds)
            assert trial.end == DONE, trial.reply
            assert pixels(trial.reply) == own
            right_next(through, comfy, 2, right)
            through.close()


def test_ten_cancels_of_ten_leave_the_next_job_unharmed(bench, request):
    right = pixels(bench.run(2, **PAYLOAD).reply)
    slowest = 0.0
    for number in range(10):
        trial = bench.run(10 + number, cancel_at=2, job_id=f"job-{number}", **ENDLESS)
        slowest = max(slowest, trial.seconds)
        assert trial.end == "cancelled"
        assert not any(bench.comfy.client.queue())
        right_next(bench, bench.comfy, 2, right)
    record(request, "cancelled mid-sampling, ten times of ten", where(bench.comfy), "cancelled", slowest)
