"""The queue on disk: order, ends, cancelling, policies, what is told and what is kept."""

import contextlib
import os
import queue
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest
from support.local_queue import PATIENCE, Desk, at_once, ended, job, queue_of

from engine.errors import ComfyUnavailable, InvalidRequest, OutOfMemory, SettingsError
from engine.local_queue import JobState
from engine.local_queue.problems import JobNotOver, QueueFull, UnknownJob
from engine.replies import failure_reply
from engine.results import Progress


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "queue"


def test_jobs_run_in_the_order_they_came_and_say_how_they_ended(folder):
    desk = Desk()
    with queue_of(folder, desk) as jobs:
        ids = [jobs.submit(job(str(number))).id for number in range(4)]
        assert desk.begun() == "0"
        assert [jobs.get(each).position for each in ids] == [None, 0, 1, 2]
        running = jobs.get(ids[0])
        assert (running.state, running.progress["fraction"], running.attempts) == (JobState.IN_PROGRESS, 0.25, 1)
        assert (jobs.counts().waiting, jobs.counts().running) == (3, 1)
        desk.end()
        for name, reply in (
            ("1", failure_reply(OutOfMemory("no room"))),
            ("2", {"values": {1: object()}}),
            ("3", None),
        ):
            assert desk.begun() == name
            desk.end(reply)
        records = [ended(jobs, each) for each in ids]
        counts = jobs.counts()
    assert [str(each.state) for each in records] == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
    assert records[1].reply["failure"]["code"] == "out_of_memory"
    assert records[2].reply["failure"]["code"] == "internal_error"  # a reply that is no JSON says nothing of itself
    assert all(each.created_at <= each.started_at <= each.finished_at for each in records)
    assert records[0].progress is None
    assert (counts.waiting, counts.running, counts.completed, counts.failed, counts.workers) == (0, 0, 2, 2, 1)


def test_what_waits_is_cancelled_at_once_and_what_runs_lets_go(folder):
    desk = Desk()
    with queue_of(folder, desk) as jobs:
        ids = [jobs.submit(job(name)).id for name in ("runs", "waits", "waits too", "last")]
        assert desk.begun() == "runs"
        assert jobs.cancel(ids[1]).state is JobState.CANCELLED
        assert jobs.cancel(ids[0]).state is JobState.CANCELLED
        assert desk.begun() == "waits too"  # the worker goes on, past the one that was cancelled
        assert jobs.purge() == 1
        desk.end()
        assert ended(jobs, ids[2]).state is JobState.COMPLETED
        assert jobs.cancel(ids[2]).state is JobState.COMPLETED
        assert jobs.get(ids[3]).state is JobState.CANCELLED
        with pytest.raises(UnknownJob, match="there is no job nobody"):
            jobs.cancel("nobody")
        assert desk.idle()


def test_whoever_waits_for_a_job_hears_that_the_queue_was_emptied_though_few_jobs_are_remembered(folder):
    with queue_of(folder, at_once, begin=False, most_kept=2) as jobs, contextlib.ExitStack() as stack:
        ids = [jobs.submit(job(str(number))).id for number in range(5)]
        told = queue.Queue()
        for each in ids:
            stack.enter_context(jobs.watch(each, lambda record: told.put((record.id, record.state))))
        assert jobs.purge() == 5
        assert {told.get(timeout=PATIENCE) for _ in ids} == {(each, JobState.CANCELLED) for each in ids}
        assert [record.id for record in jobs.history()[0]] == ids[:2:-1]


def test_more_than_may_wait_are_refused(folder):
    desk = Desk()
    with queue_of(folder, desk, most_waiting=2) as jobs:
        first = jobs.submit(job("runs"))
        assert desk.begun() == "runs"
        second = jobs.submit(job("waits"))
        jobs.submit(job("waits too"))
        with pytest.raises(QueueFull, match="2 jobs wait already") as refusal:
            jobs.submit(job("too many"))
        assert refusal.value.retryable
        jobs.cancel(second.id)
        assert jobs.submit(job("fits again")).position == 1
        deep = None
        for _ in range(200):
            deep = [deep]
        with pytest.raises(InvalidRequest, match="nested more than 100 levels"):
            jobs.submit(job("deep", also={"payload": deep}))
        assert jobs.get(first.id).state is JobState.IN_PROGRESS


def test_a_job_that_is_over_its_policy_times_out(folder):
    desk = Desk()
    with queue_of(folder, desk) as jobs:
        slow = jobs.submit(job("slow", execution_seconds=0.1))
        assert desk.begun() == "slow"
        assert ended(jobs, slow.id).state is JobState.TIMED_OUT
        old = jobs.submit(job("old", lifetime_seconds=0.2))
        assert desk.begun() == "old"
        waits = jobs.submit(job("waits", lifetime_seconds=0.1))
        waited = ended(jobs, waits.id)
        assert (waited.state, waited.started_at) == (JobState.TIMED_OUT, None)
        assert "waited and ran longer than the 0.2 s" in ended(jobs, old.id).reply["error"]
        own = jobs.submit(job("the engine's own bound", execution_seconds=60))
        assert desk.begun() == "the engine's own bound"
        desk.end({"error": "execution_timeout: …", "failure": {"code": "execution_timeout"}})
        assert ended(jobs, own.id).state is JobState.FAILED
        assert jobs.counts().failed == 4


def test_who_watches_is_told_of_every_state_and_of_progress_that_never_goes_back(folder):
    desk, seen, over = Desk(), [], threading.Event()

    def on_change(record):
        seen.append(record)
        if record.state.final:
            over.set()
        raise RuntimeError("a listener's own fault")  # silences nobody

    def ending(on_progress):
        on_progress(Progress("VAEDecode", "decoding", 1, 1, 0.9))
        on_progress(Progress("KSampler", "again", 1, 1, 0.1))
        return {"outputs": []}

    with queue_of(folder, desk, begin=False) as jobs:
        one = jobs.submit(job("one"))
        with pytest.raises(UnknownJob), jobs.watch("nobody", on_change):
            pass
        with jobs.watch(one.id, on_change) as start:
            assert (start.state, start.position) == (JobState.IN_QUEUE, 0)
            jobs.start()
            assert desk.begun() == "one"
            desk.end(ending)
            assert over.wait(PATIENCE)
    states = [record.state for record in seen]
    assert states == sorted(states, key=[JobState.IN_PROGRESS, JobState.COMPLETED].index)
    assert states[-1] is JobState.COMPLETED
    assert seen[-1].reply == {"outputs": []}
    fractions = [record.progress["fraction"] for record in seen if record.progress]
    assert fractions == sorted(fractions)


def test_the_history_is_searched_and_paged_while_jobs_come_in(folder):
    with queue_of(folder, at_once) as jobs:
        ids = [jobs.submit(job(f"Löwe {number} 100%")).id for number in range(5)]
        for each in ids:
            ended(jobs, each)
        newest, following = jobs.history(limit=2)
        jobs.submit(job("a late one"))
        older, following = jobs.history(limit=2, before=following)
        oldest, end = jobs.history(limit=2, before=following)
        assert [each.id for each in (*newest, *older, *oldest)] == ids[::-1]
        assert end is None

        def found(**wanted):
            return [each.id for each in jobs.history(**wanted)[0]]

        assert found(search="LÖWE 3") == [ids[3]]  # each word, in any case
        assert found(search="4 100%") == [ids[4]]
        assert found(search="1_0") == []  # no pattern
        assert len(found(search="txt2img")) == len(found(workflow="txt2img")) == 6
        assert found(workflow="other") == found(states=[JobState.CANCELLED]) == []
        with pytest.raises(InvalidRequest, match="before"):
            jobs.history(before="1; DROP TABLE jobs")


def test_neither_secrets_nor_files_of_a_request_are_kept_once_its_job_has_ended(folder):
    secrets = ["sesame-key-1", "sesame-header-2", "sesame-comfy-3", "sesame-query-4", "sesame-graph-5"]
    picture = "iVBORw0KGgo" * 2000
    also = {
        "payload": {
            "prompt": "kept",
            "image": picture,
            "other": {"url": "https://a.invalid/b", "headers": secrets[1]},
        },
        "s3Config": {"secretAccessKey": secrets[0]},
        "comfy_org_api_key": secrets[2],
        "options": {"api_key": secrets[4]},
    }
    sent = {}

    def answer(_job_id, submission, _cancel, _on_progress):
        sent.update(submission.input)
        sent["beside"] = submission.s3_config
        return {"outputs": []}

    submission = job("one", also=also, s3_config={"secretAccessKey": secrets[0]})
    with queue_of(folder, answer) as jobs:
        record = ended(jobs, jobs.submit(submission).id)
        assert sent["payload"]["image"] == picture  # the job itself had all of it
        assert sent["beside"] == {"secretAccessKey": secrets[0]}
        assert record.input == {
            "workflow": "txt2img",
            "payload": {"prompt": "kept", "image": None, "other": {"url": "https://a.invalid/b"}},
            "name": "one",
            "options": {"api_key": None},
        }
        assert record.shortened
        assert [each.id for each in jobs.history(search="kept")[0]] == [record.id]
        assert jobs.history(search="sesame")[0] == []
        posts = jobs.submit(job("posts", webhook=f"https://a.invalid/hook?token={secrets[3]}"))
        ended(jobs, posts.id)
        jobs.forget(posts.id)  # else it is kept until it is posted
        left = [path.read_bytes() for path in folder.iterdir()]  # the log of what was written before among it
    left += [path.read_bytes() for path in folder.iterdir()]
    assert not [each for each in (*secrets, picture[:100]) if each.encode() in b"".join(left)]


def test_a_job_is_forgotten_by_age_without_its_files_and_by_request_with_them(folder, tmp_path):
    desk = Desk()
    with queue_of(folder, desk, most_kept=2) as jobs:
        ids, paths = [], []
        for number in range(3):
            ids.append(jobs.submit(job(str(number))).id)
            desk.begun()
            paths.append(tmp_path / f"{number}.png")
            paths[-1].write_bytes(b"picture")
            assert jobs.keep_file(ids[-1], paths[-1], "image/png") == 0
            with pytest.raises(JobNotOver, match="IN_PROGRESS"):
                jobs.forget(ids[-1])
            desk.end()
            ended(jobs, ids[-1])
        with pytest.raises(UnknownJob):
            jobs.get(ids[0])
        assert jobs.file(ids[2], 0).path == str(paths[2])
        jobs.forget(ids[2])
        with pytest.raises(UnknownJob):
            jobs.file(ids[2], 0)
        assert [path.exists() for path in paths] == [True, True, False]
        assert jobs.counts().completed == 3


def test_the_file_is_the_owners_alone_and_one_process_has_it(folder):
    with queue_of(folder, at_once) as jobs:
        one = jobs.submit(job("one"))
        ended(jobs, one.id)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        with pytest.raises(SettingsError, match=r"API_FOLDER: .* is in use by another server"):
            queue_of(folder, at_once)
    with pytest.raises(SettingsError, match=r"API_FOLDER: .* can't be written to"):
        queue_of(folder / "queue.lock" / "below", at_once)
    with queue_of(folder, at_once) as jobs:
        assert jobs.get(one.id).state is JobState.COMPLETED


@pytest.mark.parametrize("how", ["not a database", "damaged", "of a later version"])
def test_a_file_that_cannot_be_read_is_put_aside_and_said(folder, how, caplog):
    with queue_of(folder, at_once) as jobs:
        for number in range(50):
            ended(jobs, jobs.submit(job(str(number))).id)
    file = folder / "queue.sqlite"
    if how == "of a later version":
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        data = bytearray(file.read_bytes())
        data[: 100 if how == "not a database" else 0] = b"x" * (100 if how == "not a database" else 0)
        data[8192:20000] = os.urandom(20000 - 8192)
        file.write_bytes(data)
    before = file.read_bytes()
    with queue_of(folder, at_once) as jobs:
        assert ended(jobs, jobs.submit(job("new")).id).state is JobState.COMPLETED
        assert len(jobs.history()[0]) == 1
    (aside,) = folder.glob("queue.sqlite.unreadable-*[0-9]")
    assert how == "of a later version" or aside.read_bytes() == before
    assert "the queue's file can't be read; a new one is begun" in caplog.text


def test_fifty_clients_at_once_lose_nothing_and_run_nothing_twice(folder):
    ran, lock = [], threading.Lock()

    def answer(_job_id, submission, _cancel, _on_progress):
        with lock:
            ran.append(submission.input["name"])
        return {"outputs": []}

    with queue_of(folder, answer, answer, answer) as jobs:
        ids = {}

        def client(number):
            for index in range(4):
                name = f"{number}/{index}"
                ids[name] = jobs.submit(job(name)).id

        threads = [threading.Thread(target=client, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {ended(jobs, each).state for each in ids.values()} == {JobState.COMPLETED}
        assert jobs.counts().completed == len(set(ids.values())) == 200
    assert sorted(ran) == sorted(ids)


def test_the_server_takes_no_more_once_it_ends(folder):
    jobs = queue_of(folder, at_once)
    done = jobs.submit(job("one"))
    ended(jobs, done.id)
    jobs.stop(0)
    with pytest.raises(ComfyUnavailable, match="the server ends"):
        jobs.submit(job("two"))
    assert jobs.get(done.id).state is JobState.COMPLETED  # what there is can still be asked for
    jobs.close()
    jobs.close()


def test_importing_the_queue_imports_nothing_heavy():
    code = "import engine.local_queue, sys; sys.exit(any(each in sys.modules for each in ('PIL', 'fastapi', 'boto3')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
