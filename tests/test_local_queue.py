"""The queue on disk: order, ends, cancelling, policies, what is told, what is kept, what a restart finds."""

import threading

import pytest

from engine.errors import ComfyUnavailable
from engine.local_queue import JobState, LocalQueue, Submission
from engine.replies import failure_reply
from engine.results import Progress

PATIENCE = 20.0


class Desk:
    """An answer whose jobs wait until they are told to go on; `ran` lists what was begun."""

    def __init__(self, *, gated=False):
        self.ran = []
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.replies = {}
        if not gated:
            self.gate.set()

    def __call__(self, _job_id, submission, cancel, on_progress):
        name = submission.input.get("name") if isinstance(submission.input, dict) else None
        self.ran.append(name)
        on_progress(Progress("KSampler", "sampling", 1, 4, 0.25))
        self.begun.set()
        while not self.gate.wait(0.01):
            cancel.raise_if_cancelled()
        return self.replies.get(name, {"workflow": "w", "outputs": [], "values": {"seed": 7}})


def queue_of(folder, *answers, most_waiting=1000, most_kept=1000, **more):
    return LocalQueue(folder, answers, most_waiting=most_waiting, most_kept=most_kept, **more)


def job(name, **more):
    return Submission(input={"workflow": "w", "payload": {"prompt": name}, "name": name}, workflow="w", **more)


def ended(queue, job_id):
    """The job once it has ended."""
    over = threading.Event()
    with queue.watch(job_id, lambda record: record.state.final and over.set()) as start:
        assert start.state.final or over.wait(PATIENCE), queue.get(job_id)
    return queue.get(job_id)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "queue"


def test_jobs_run_in_the_order_they_came_and_tell_how_they_ended(folder):
    desk = Desk(gated=True)
    with queue_of(folder, desk) as queue:
        ids = [queue.submit(job(f"job {number}")).id for number in range(5)]
        assert desk.begun.wait(PATIENCE)
        assert [queue.get(each).position for each in ids] == [None, 0, 1, 2, 3]
        running = queue.get(ids[0])
        assert (running.state, running.progress["fraction"], running.attempts) == (JobState.IN_PROGRESS, 0.25, 1)
        desk.replies["job 1"] = failure_reply(ComfyUnavailable("away"))
        desk.gate.set()
        records = [ended(queue, each) for each in ids]
        assert [each.state.value for each in records] == ["COMPLETED", "FAILED", *["COMPLETED"] * 3]
        assert records[1].reply["failure"]["code"] == "comfy_unavailable"
        assert all(each.created_at <= each.started_at <= each.finished_at for each in records)
        counts = queue.counts()
    assert desk.ran == [f"job {number}" for number in range(5)]
    assert (counts.waiting, counts.running, counts.completed, counts.failed) == (0, 0, 4, 1)
