"""REFRESH_WORKER: each job that runs something has the platform replace the worker."""

import asyncio

from support.runners import runner_on
from support.runpod_queue import serve_runpod_queue
from support.worker import running_worker, worker_environment

from engine.journal import Journal
from engine.worker import Worker

RESIZE = {"workflow": "resize", "payload": {"width": 16}}


def handled(worker, job):
    return asyncio.run(worker.handle(job))


def test_the_platform_is_told_with_every_job_that_runs_something(comfy_url, tmp_path):
    with serve_runpod_queue() as queue:
        variables = worker_environment(comfy_url, **queue.environment(), REFRESH_WORKER="true")
        with running_worker(variables, tmp_path / "log"):
            listed = queue.wait(queue.submit({"action": "list"}), 60)
            posted = queue.wait(queue.submit(RESIZE), 60)
    assert listed["output"]["workflows"]
    assert "stopPod" not in listed
    assert posted["stopPod"] is True
    assert posted["output"]["outputs"]
    assert "refresh_worker" not in posted["output"]


def test_a_worker_stays_unless_it_is_told_so(comfy, tmp_path):
    assert "refresh_worker" not in handled(Worker(runner_on(comfy, tmp_path)), {"id": "j", "input": RESIZE})


def test_a_job_that_failed_is_followed_by_a_new_worker_too(comfy, tmp_path):
    worker = Worker(runner_on(comfy, tmp_path), refresh=True)
    failed = handled(worker, {"id": "j", "input": {**RESIZE, "payload": {"width": -1}}})
    assert failed["failure"]["code"] == "invalid_payload"
    assert failed["refresh_worker"] is True


def test_a_reply_that_is_given_again_replaces_nobody(comfy, tmp_path):
    journal = Journal(tmp_path / "journal", longest_bytes=10_000_000, longest_seconds=600)
    worker = Worker(runner_on(comfy, tmp_path), journal=journal, refresh=True)
    first, again = (handled(worker, {"id": "j", "input": RESIZE}) for _ in range(2))
    assert first.pop("refresh_worker") is True
    assert again == first
