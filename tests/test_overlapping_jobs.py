"""Short jobs in one worker at once, through the RunPod SDK: they overlap, in order, and each has its own end."""

import signal
import threading
import time

import pytest
import requests
from support.runpod_queue import serve_runpod_queue
from support.worker import running_worker, worker_environment

from engine.simulator import Simulator

STEP_SECONDS = 0.2
CHECKPOINT = "sd15.safetensors"


@pytest.fixture(scope="module")
def simulator():
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": [CHECKPOINT]}, step_seconds=STEP_SECONDS) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def queue():
    with serve_runpod_queue(hold_seconds=30) as queue:  # after each empty answer the SDK asks for stops a second later
        yield queue


@pytest.fixture(scope="module")
def worker(simulator, queue, tmp_path_factory):
    """A worker that has found its jobs to be short; gives the process and its log."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with running_worker(worker_environment(simulator.url, **queue.environment()), log) as process:
        deadline = time.monotonic() + 60
        seeds = iter(range(1_000))
        while "jobs at once" not in log.read_text():
            assert time.monotonic() < deadline
            queue.wait(queue.submit(job(next(seeds))), 60)
        yield process, log


def job(seed, steps=1):
    payload = {"prompt": "x", "steps": steps, "width": 64, "height": 64, "ckpt_name": CHECKPOINT, "seed": seed}
    return {"workflow": "txt2img", "payload": payload}


def seeds_in(prompts):
    """Of ComfyUI's lists of prompts, in its history or in its queue: the seeds of our jobs."""
    return [prompt[2]["3"]["inputs"]["seed"] for prompt in prompts]


def queued(simulator):
    told = requests.get(f"{simulator.url}/queue", timeout=10).json()
    return seeds_in(told["queue_running"]), seeds_in(told["queue_pending"])


class Watch(threading.Thread):
    """Looks into ComfyUI's queue all the time, within the block."""

    def __init__(self, simulator):
        super().__init__(daemon=True)
        self.simulator, self.over = simulator, threading.Event()
        self.seen = []

    def run(self):
        while not self.over.wait(0.03):
            self.seen.append(queued(self.simulator))

    def began(self):
        """The jobs that were seen to execute, in the order of that."""
        return list(dict.fromkeys(seed for running, _ in self.seen for seed in running))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(30)


def test_short_jobs_overlap_in_the_order_in_which_they_were_taken(simulator, queue, worker, wait_until):
    seeds = range(1_001, 1_013)
    with Watch(simulator) as watch:
        first = queue.submit(job(1_000, steps=20))  # so long that the next ones are ready when it ends
        wait_until(lambda: queued(simulator)[0] == [1_000])
        jobs = [queue.submit(job(seed)) for seed in seeds]
        outputs = [queue.wait(each, 60)["output"] for each in jobs]
    assert [each["values"]["seed"] for each in outputs] == list(seeds)
    # Of those that it had long before the first one ended: one went on into ComfyUI's queue as soon as it was ready.
    ready_by = queue.span(first).posted - 2
    early = [seed for seed, each in zip(seeds, jobs, strict=True) if queue.span(each).taken < ready_by]
    in_line = [seed for seed in watch.began() if seed in early][1:]
    assert in_line == sorted(in_line)
    most = max(len(running) + len(pending) for running, pending in watch.seen)
    assert most == 2  # one executes, the next is there when it ends, and no more
    # More than ComfyUI holds were in the worker: the others had their inputs and stood in line.
    spans = [queue.span(each) for each in jobs]
    assert max(sum(each.taken <= at.taken < each.posted for each in spans) for at in spans) > 2
    for each, output in zip(jobs, outputs, strict=True):
        told = [report["seed"] for report in queue.progress(each) if "seed" in report]
        assert told in ([], [output["values"]["seed"]])


def test_each_of_several_can_be_cancelled_wherever_it_is_and_the_others_go_on(simulator, queue, worker, wait_until):
    _, log = worker
    seeds = range(2_000, 2_006)
    jobs = {seeds[0]: queue.submit(job(seeds[0], steps=150))}
    with Watch(simulator) as watch:
        wait_until(lambda: queued(simulator)[0] == [seeds[0]])
        jobs |= {seed: queue.submit(job(seed)) for seed in seeds[1:]}
        wait_until(lambda: queued(simulator)[1])
        begun = []  # it may have room for fewer: how many, it says itself

        def has_three():
            told = log.read_text()
            begun[:] = [seed for seed, each in jobs.items() if f"job taken job_id={each} " in told]
            return len(begun) >= 3

        wait_until(has_three)
        (executing,), (following,) = queued(simulator)
        in_line = next(seed for seed in reversed(begun) if seed not in (executing, following))
        gone = [jobs.pop(seed) for seed in (in_line, following, executing)]
        for each in gone:
            queue.cancel(each)
            wait_until(lambda: f"job cancelled job_id={each} " in log.read_text())  # noqa: B023 - called before the next
        outputs = [queue.wait(each, 60)["output"] for each in jobs.values()]
    assert [each["values"]["seed"] for each in outputs] == list(jobs)
    assert all(each["outputs"] for each in outputs)
    assert [queue.result(each) for each in gone] == [None] * 3
    assert in_line not in watch.began()
    assert following not in watch.began()
    assert queued(simulator) == ([], [])


def test_told_to_end_it_finishes_all_that_it_has(queue, worker, wait_until):
    process, log = worker
    jobs = [queue.submit(job(seed, steps=2)) for seed in range(3_000, 3_004)]
    wait_until(lambda: all(f"job taken job_id={each} " in log.read_text() for each in jobs))
    process.send_signal(signal.SIGTERM)
    assert all(queue.wait(each, 60)["output"]["outputs"] for each in jobs)
    assert process.wait(40) == 0
    assert "Traceback" not in log.read_text()
