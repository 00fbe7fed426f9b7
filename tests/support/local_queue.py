"""Answers for the local queue, and what makes jobs for it."""

import queue
import threading

from engine.local_queue import LocalQueue, Submission
from engine.results import Progress

PATIENCE = 20.0


class Desk:
    """An answer that tells which job it has begun, and goes on with it when it is told how it ends."""

    def __init__(self):
        self._begun = queue.Queue()
        self._endings = queue.Queue()

    def __call__(self, _job_id, submission, cancel, on_progress):
        on_progress(Progress("KSampler", "sampling", 1, 4, 0.25))
        self._begun.put(submission.input["name"])
        while True:
            cancel.raise_if_cancelled()
            try:
                reply = self._endings.get(timeout=0.005)
            except queue.Empty:
                continue
            return reply(on_progress) if callable(reply) else reply

    def begun(self):
        """The name of the job that was begun next."""
        return self._begun.get(timeout=PATIENCE)

    def idle(self):
        """Whether it has begun none that nobody asked about."""
        return self._begun.empty()

    def end(self, reply=None):
        """End the job that runs."""
        self._endings.put(reply or {"outputs": [], "values": {"seed": 7}})


def at_once(_job_id, submission, _cancel, _on_progress):
    """An answer that is done as soon as it is asked."""
    return {"outputs": [], "values": {"echo": submission.input["name"]}}


def queue_of(folder, *answers, most_waiting=1000, most_kept=1000, **more):
    """A queue with a worker for each answer."""
    return LocalQueue(folder, answers, most_waiting=most_waiting, most_kept=most_kept, **more)


def job(name, **more):
    """A job that answers know by its name."""
    document = {"workflow": "txt2img", "payload": {"prompt": f"a {name}"}, "name": name, **more.pop("also", {})}
    return Submission(input=document, workflow="txt2img", **more)


def ended(jobs, job_id):
    """A job once it has ended."""
    over = threading.Event()
    with jobs.watch(job_id, lambda record: record.state.final and over.set()) as start:
        if not (start.state.final or over.wait(PATIENCE)):
            raise TimeoutError(jobs.get(job_id))
    return jobs.get(job_id)
