"""Blocks of the same jobs, straight into ComfyUI and through the queue, and what became of them."""

import itertools
import time
from functools import partial

import requests
from pods import log_end, running
from reporting import Failed
from under_test import sleep_graph

# Of the first ones a worker learns how long its jobs are.
FIRST = 3
_numbers = itertools.count(int(time.time()) * 1000)


class Run:
    """What became of a block of jobs.

    Args:
        seconds: that each sleeps.
        spans: of each job: who had it, from when, until when.
        slept: when the node slept, over all ComfyUIs; None where nobody knows.
        comfys: how many there were.
        begins: the results after which it had begun.
    """

    def __init__(self, seconds, spans, slept, comfys=1, begins=FIRST):
        self.seconds, self.spans, self.comfys = seconds, spans, comfys
        self._begins = min(begins, len(spans) - 1)
        self.start = min(taken for _, taken, _ in spans)
        self.ends = sorted(posted for *_, posted in spans)
        self.slept = None if slept is None else [each for each in slept if each[0] >= self.start - 0.05]

    @property
    def begun(self):
        """When it had begun."""
        return self.ends[self._begins - 1]

    @property
    def rate(self):
        """Jobs a second, from the first that was taken to the last result."""
        return len(self.ends) / (self.ends[-1] - self.start)

    @property
    def rate_begun(self):
        """Jobs a second, once it had begun."""
        return (len(self.ends) - self._begins) / (self.ends[-1] - self.begun)

    def busy(self, start):
        """The share of the time from then on in which the node slept; a text, since it can be unknown."""
        if self.slept is None:
            return "-"
        slept = sum(max(0.0, min(end, self.ends[-1]) - max(begin, start)) for begin, end in self.slept)
        return f"{slept / (self.ends[-1] - start) / self.comfys:.2f}"


class Blocks(list):
    """Runs of ComfyUI alone, before and after those of the workers."""

    @property
    def rate(self):
        """As that of a run."""
        return sum(len(each.ends) for each in self) / sum(each.ends[-1] - each.start for each in self)

    @property
    def rate_begun(self):
        """From the first result on: ComfyUI has nothing to learn."""
        return sum(len(each.ends) - 1 for each in self) / sum(each.ends[-1] - each.ends[0] for each in self)


def alone(comfy, seconds, jobs):
    """The jobs straight into ComfyUI, all at once."""
    before = len(comfy.slept())
    with requests.Session() as session:
        session.trust_env = False
        ids = [
            session.post(
                f"{comfy.url}/prompt", json={"prompt": sleep_graph(next(_numbers), seconds)}, timeout=30
            ).json()["prompt_id"]
            for _ in range(jobs)
        ]
        spans = []
        for prompt_id in ids:
            while not (entry := session.get(f"{comfy.url}/history/{prompt_id}", timeout=30).json()):
                time.sleep(0.05)  # between two looks
            told = {kind: data["timestamp"] / 1000 for kind, data in entry[prompt_id]["status"]["messages"]}
            spans.append(("", told["execution_start"], told["execution_success"]))
    return Run(seconds, spans, comfy.slept()[before:] if comfy.spans else None, begins=1)


def through_queue(contender, seconds, jobs, comfys, queue, bucket, folder):
    """The jobs through the queue, by a worker for each ComfyUI.

    Raises:
        Failed: the worker did not start, ended, or did not do a job.
    """
    before = [len(comfy.slept()) for comfy in comfys]
    with running(contender, comfys, queue, bucket, folder) as wait:
        ids = [queue.submit(contender.job_input(next(_numbers), seconds)) for _ in range(jobs)]
        for job_id in ids:
            posted = wait(partial(queue.wait, job_id), 60 + jobs * (seconds + 2))
            output = posted.get("output")
            if posted.get("error") or not output or (isinstance(output, dict) and output.get("error")):
                raise Failed(f"a job of {contender.name} failed: {str(posted)[:800]}\n{log_end(contender, folder)}")
        spans = [queue.span(job_id) for job_id in ids]
    slept = [each for comfy, seen in zip(comfys, before, strict=True) for each in comfy.slept()[seen:]]
    spans = [(span.pod, span.taken, span.posted) for span in spans]
    return Run(seconds, spans, slept if comfys[0].spans else None, len(comfys))
