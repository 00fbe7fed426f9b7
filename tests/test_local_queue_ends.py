"""The queue when its process is killed, or told to end: no job is lost, and none that has ended runs again."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest
from support.local_queue import PATIENCE, Desk, at_once, ended, job, queue_of

from engine.errors import ComfyUnavailable
from engine.local_queue import JobState

SERVER = """
import json, os, signal, sys, threading
from pathlib import Path
from engine.local_queue import LocalQueue, Submission

folder, log, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def answer(job_id, submission, cancel, on_progress):
    name = submission.input["name"]
    with open(log, "a") as file:
        file.write(name + "\\n")
    if name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "job 3" and mode == "first":
        all_taken.wait()
        print("job 3 runs", flush=True)
        threading.Event().wait()
    return {"values": {"name": name}}

all_taken = threading.Event()
queue = LocalQueue(folder, [answer], most_waiting=100, most_kept=100, begin=False)
if mode in ("first", "poison"):
    names = [f"job {number}" for number in range(20)] if mode == "first" else ["poison", "after it"]
    ids = [queue.submit(Submission(input={"name": name})).id for name in names]
queue.start()
all_taken.set()
if mode == "poison":
    threading.Event().wait()
if mode == "first":
    print(json.dumps(ids), flush=True)
    threading.Event().wait()
over = threading.Condition()
def told(record):
    with over:
        over.notify_all()
records = queue.history(limit=100)[0]
for record in records:
    with queue.watch(record.id, told) as start, over:
        while not queue.get(record.id).state.final:
            over.wait(1)
records = [queue.get(record.id) for record in records][::-1]
print(json.dumps([[each.id, each.state, each.attempts, each.reply] for each in records]), flush=True)
print(json.dumps([queue.counts().completed, queue.counts().failed, queue.counts().retried]), flush=True)
queue.stop(0)
queue.close()
"""


@pytest.fixture
def server(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    log = tmp_path / "log"
    log.touch()

    def start(mode):
        command = [sys.executable, str(script), str(tmp_path / "queue"), str(log), mode]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    start.log = lambda: log.read_text().splitlines()
    return start


def test_twenty_jobs_all_end_once_though_the_server_is_killed(server):
    with server("first") as first:
        said = {first.stdout.readline(), first.stdout.readline()}  # the ids, and that the fourth job runs
        first.kill()
    (ids,) = [json.loads(line) for line in said if line.startswith("[")]
    assert server.log() == [f"job {number}" for number in range(4)]
    with server("again") as again:
        records, counts = json.loads(again.stdout.readline()), json.loads(again.stdout.readline())
    assert again.returncode == 0
    assert [each[0] for each in records] == ids
    assert [each[1] for each in records] == ["COMPLETED"] * 20
    assert [each[3]["values"]["name"] for each in records] == [f"job {number}" for number in range(20)]
    assert [each[2] for each in records] == [1, 1, 1, 2, *[1] * 16]
    # The one that ran is first again, the others follow in their order, and none but it was begun twice.
    assert server.log()[4:] == [f"job {number}" for number in range(3, 20)]
    assert counts == [20, 0, 1]


def test_a_job_that_brings_the_server_down_is_given_up(server):
    for mode in ("poison", "again", "again"):
        with server(mode) as killed:
            assert not killed.stdout.read()
        assert killed.returncode == -signal.SIGKILL
    with server("again") as last:
        (poison, after), counts = json.loads(last.stdout.readline()), json.loads(last.stdout.readline())
    assert Counter(server.log()) == {"poison": 3, "after it": 1}
    assert (poison[1], after[1]) == ("FAILED", "COMPLETED")
    assert "the server ended 3 times while this job ran" in poison[3]["error"]
    assert counts == [1, 1, 2]


def test_a_server_that_ends_lets_jobs_finish_or_has_them_wait_again(tmp_path):
    desk, told = Desk(), []
    jobs = queue_of(tmp_path, desk)
    runs, waits = jobs.submit(job("runs")), jobs.submit(job("waits"))
    assert desk.begun() == "runs"
    with jobs.watch(runs.id, told.append):
        jobs.stop(0)  # interrupted
    jobs.close()
    assert not [record for record in told if record.state.final]

    desk = Desk()
    jobs = queue_of(tmp_path, desk)
    assert desk.begun() == "runs"
    stopping = threading.Thread(target=jobs.stop, args=(PATIENCE,))
    stopping.start()
    with contextlib.suppress(ComfyUnavailable):
        while True:  # until it has begun to end
            jobs.submit(job("more"))
    desk.end()
    stopping.join()
    assert jobs.get(runs.id).state is JobState.COMPLETED  # it was let finish
    assert jobs.get(waits.id).state is JobState.IN_QUEUE
    assert desk.idle()
    jobs.close()

    with queue_of(tmp_path, at_once) as jobs:
        record = ended(jobs, waits.id)
        assert record.state is JobState.COMPLETED
        assert jobs.get(runs.id).attempts == 2
        assert jobs.counts().retried == 0


def test_a_job_that_expired_while_the_server_was_away_is_not_begun(tmp_path):
    with queue_of(tmp_path, at_once, begin=False) as jobs:
        old = jobs.submit(job("old", lifetime_seconds=0.001))
    with queue_of(tmp_path, at_once) as jobs:
        record = ended(jobs, old.id)
    assert (record.state, record.attempts) == (JobState.TIMED_OUT, 0)
