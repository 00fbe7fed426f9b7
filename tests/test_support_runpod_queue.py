"""The stand-in queue, tried with the real SDK in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import pytest
import requests
from support.processes import ended
from support.runpod_queue import serve_runpod_queue

HANDLER = """
import asyncio, pathlib, runpod
async def handler(job):
    asked = job["input"]
    if asked.get("report"):
        runpod.serverless.progress_update(job, {"half": asked["report"]})
    if asked.get("forever"):
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pathlib.Path(asked["forever"]).write_text("cancelled")
            raise
    return {"error": asked["fail"]} if "fail" in asked else {"echo": asked}
runpod.serverless.start({"handler": handler, "concurrency_modifier": lambda current: 4})
"""


@pytest.fixture
def queue():
    with serve_runpod_queue() as running:
        yield running


@contextlib.contextmanager
def worker(queue, tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(HANDLER)
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", str(script)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **queue.environment()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        with ended(process, 20):
            yield process


def test_the_real_sdk_works_for_this_queue(queue, tmp_path):
    with worker(queue, tmp_path):
        ids = [queue.submit({"number": number}) for number in range(20)]
        results = [queue.wait(job_id, 60) for job_id in ids]
        assert [result["output"]["echo"] for result in results] == [{"number": n} for n in range(20)]

        failed = queue.wait(queue.submit({"fail": "it is broken"}))
        assert failed == {"error": "it is broken"}

        raised = queue.wait(queue.submit([]))
        assert "AttributeError" in json.loads(raised["error"])["error_type"]

        reporting = queue.submit({"report": 1})
        assert queue.wait_progress(reporting) == [{"half": 1}]
        assert queue.wait(reporting)["output"] == {"echo": {"report": 1}}

        note = tmp_path / "note"
        endless = queue.submit({"forever": str(note), "report": 2})
        queue.wait_progress(endless)
        queue.wait_ping(endless)
        queue.cancel(endless)
        queue.wait_stop_sent(endless)
        # A job after it shows that the worker lives on.
        assert "output" in queue.wait(queue.submit({"after": True}))
    assert note.read_text() == "cancelled"
    assert queue.result(endless) is None


def test_a_cancelled_job_that_waits_is_never_taken(queue, tmp_path):
    cancelled, other = queue.submit({"number": 1}), queue.submit({"number": 2})
    queue.cancel(cancelled)
    with worker(queue, tmp_path):
        queue.wait(other, 60)
    assert queue.posts(cancelled) == []


def test_waiting_ends_with_an_error(queue):
    with pytest.raises(TimeoutError, match="no result of job-1"):
        queue.wait(queue.submit({}), timeout=0.01)


def test_it_tells_who_had_a_job_and_when_from_some_way_off():
    with serve_runpod_queue(delay_seconds=0.02) as queue:
        job = queue.submit({"number": 1})
        with pytest.raises(KeyError):
            queue.span(job)
        asked = queue.environment(pod="second")["RUNPOD_WEBHOOK_GET_JOB"].replace("$ID", "second")
        assert requests.get(asked, timeout=10).json()["id"] == job
        queue.wait_pods(1)
        span = queue.span(job)
        assert (span.pod, span.posted) == ("second", None)
        done = asked.split("?")[0].replace("job-take", "job-done") + f"/{job}"
        answered = requests.post(done, json={"output": 2}, timeout=10)
        assert answered.elapsed.total_seconds() >= 0.02
        assert queue.span(job).posted >= span.taken
        queue.submit({})
        with pytest.raises(TimeoutError, match="2 pods"):
            queue.wait_pods(2, 0.01)
