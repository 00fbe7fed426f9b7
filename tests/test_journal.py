"""The journal: a job that comes twice runs once, and nothing that goes wrong with the journal costs a job."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runpod_queue import serve_runpod_queue
from support.worker import run_handler, running_worker, worker_environment

from engine.cancellation import CancellationToken
from engine.envelope import failure_reply
from engine.errors import Cancelled, ExecutionTimeout, InvalidPayload
from engine.journal import Journal, open_journal
from engine.kept_replies import links_end
from engine.settings import Settings

ASKED = [{"workflow": "resize", "payload": {"width": 9}}, None]
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Work:
    """What a job does, counted."""

    def __init__(self, *replies):
        self.replies = list(replies)
        self.runs = 0

    def __call__(self):
        self.runs += 1
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, BaseException):
            raise reply
        return dict(reply)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


def journal(folder, clock, longest_bytes=100_000, longest_seconds=1800):
    """A journal as another worker, or the same one started again, has it: nothing in memory."""
    return Journal(folder, longest_bytes=longest_bytes, longest_seconds=longest_seconds, clock=clock)


def deliver(kept, work, job_id="job-1", asked=ASKED):
    return kept.once(job_id, asked, work, CancellationToken())


DONE = {
    "workflow": "resize",
    "outputs": [{"name": "image", "base64": "QUJD", "width": 9}],
    "values": {"x": 0.1, "é": "😀"},
}
REFUSED = failure_reply(InvalidPayload("width: must be at most 4096"))
LATE = failure_reply(ExecutionTimeout("it took too long"))


@pytest.mark.parametrize("reply", [DONE, REFUSED], ids=["a result", "a failure that stays one"])
def test_a_job_that_comes_again_gets_the_reply_it_got(folder, clock, reply):
    work = Work(reply)
    first = deliver(journal(folder, clock), work)
    again = deliver(journal(folder, clock), work)
    assert work.runs == 1
    assert json.dumps(again) == json.dumps(first) == json.dumps(reply)


@pytest.mark.parametrize(
    ("job_id", "asked"),
    [
        ("job-2", ASKED),
        ("job-1", [{"workflow": "resize", "payload": {"width": 10}}, None]),
        ("job-1", [ASKED[0], {"bucketName": "another"}]),
    ],
)
def test_another_job_runs(folder, clock, job_id, asked):
    work = Work(DONE)
    deliver(journal(folder, clock), work)
    deliver(journal(folder, clock), work, job_id, asked)
    assert work.runs == 2


def test_what_failed_for_a_time_runs_again(folder, clock):
    work = Work(LATE, DONE)
    assert deliver(journal(folder, clock), work) == LATE
    assert deliver(journal(folder, clock), work) == DONE
    assert work.runs == 2


@pytest.mark.parametrize("cancelled", [Cancelled("stopped"), failure_reply(Cancelled("stopped in ComfyUI"))])
def test_what_was_cancelled_runs_again(folder, clock, cancelled):
    kept = journal(folder, clock)
    if isinstance(cancelled, Cancelled):
        with pytest.raises(Cancelled):
            deliver(kept, Work(cancelled))
    else:
        deliver(kept, Work(cancelled))
    assert deliver(kept, Work(DONE)) == DONE
    assert deliver(journal(folder, clock), Work(REFUSED)) == DONE


def test_an_order_to_replace_the_worker_is_not_kept(folder, clock):
    first = deliver(journal(folder, clock), Work({**DONE, "refresh_worker": True}))
    assert first["refresh_worker"] is True
    assert deliver(journal(folder, clock), Work(REFUSED)) == DONE


def test_a_reply_is_kept_for_its_time(folder, clock):
    work = Work(DONE)
    deliver(journal(folder, clock), work)
    clock.now += 1799
    deliver(journal(folder, clock), work)
    assert work.runs == 1
    clock.now += 2
    deliver(journal(folder, clock), work)
    assert work.runs == 2


@pytest.mark.parametrize(
    "output",
    [
        {"url": "https://x.org/a.png", "expires_at": "2026-01-01T12:10:00Z"},
        {"data": "https://x.org/a.png?X-Amz-Date=20260101T120000Z&X-Amz-Expires=600&X-Amz-Signature=ab"},
        {"data": "https://x.org/a.png?X-Goog-Date=20260101T120000Z&X-Goog-Expires=600&X-Goog-Signature=ab"},
    ],
)
def test_a_link_that_ends_is_not_given_again(folder, clock, output):
    work = Work({"outputs": [output]})
    deliver(journal(folder, clock), work)
    clock.now += 500
    deliver(journal(folder, clock), work)
    assert work.runs == 1
    clock.now += 45  # less than a minute is left
    deliver(journal(folder, clock), work)
    assert work.runs == 2


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda kind: st.lists(kind) | st.dictionaries(st.text(), kind))
)
def test_whatever_a_reply_holds_its_links_can_be_looked_at(reply):
    assert links_end({"expires_at": "soon", "reply": reply, "url": "https://[/?X-Amz-Date=1&X-Amz-Expires=x"}) is None


def test_a_second_delivery_waits_for_the_first(folder, clock):
    kept = journal(folder, clock)
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(30)
        return dict(DONE)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(deliver, kept, slow)
        assert begun.wait(30)
        others = [pool.submit(deliver, kept, Work(REFUSED)) for _ in range(2)]
        go_on.set()
        replies = [first.result(30), *(other.result(30) for other in others)]
    assert replies == [DONE] * 3
    assert replies[0] is not replies[1]  # the SDK takes keys out of what it is given


@pytest.mark.parametrize("ending", [LATE, Cancelled("stopped"), RuntimeError("what")])
def test_a_second_delivery_runs_where_the_first_came_to_nothing(folder, clock, ending):
    kept = journal(folder, clock)
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(30)
        if isinstance(ending, Exception):
            raise ending
        return dict(ending)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(deliver, kept, slow)
        assert begun.wait(30)
        second = pool.submit(deliver, kept, Work(DONE))
        go_on.set()
        assert second.result(30) == DONE
        assert first.exception(30) is (ending if isinstance(ending, Exception) else None)


def test_a_second_delivery_can_be_cancelled_while_it_waits(folder, clock, caplog):
    caplog.set_level(logging.INFO)
    kept = journal(folder, clock)
    begun, go_on, cancel = threading.Event(), threading.Event(), CancellationToken()

    def slow():
        begun.set()
        assert go_on.wait(30)
        return dict(DONE)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(deliver, kept, slow)
        assert begun.wait(30)
        second = pool.submit(kept.once, "job-1", ASKED, Work(REFUSED), cancel)
        cancel.cancel()
        assert isinstance(second.exception(30), Cancelled)
        assert [record.getMessage() for record in caplog.records] == ["job cancelled"]
        go_on.set()
        assert first.result(30) == DONE


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "noise", "folder", "deep"])
def test_a_kept_reply_that_is_damaged_is_none(folder, clock, damage):
    deliver(journal(folder, clock), Work(DONE))
    (file,) = folder.iterdir()
    content = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        changed = {
            "cut": content[:-20],
            "changed": content.replace(b"resize", b"resized"),
            "empty": b"",
            "noise": bytes(range(256)),
            "deep": b"[" * 200_000,
        }
        file.write_bytes(changed[damage])
    work = Work(REFUSED)
    assert deliver(journal(folder, clock), work) == REFUSED
    assert work.runs == 1


def test_kept_replies_are_for_their_owner_alone(folder, clock):
    deliver(journal(folder, clock), Work(DONE))
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_folder_is_bounded_and_the_latest_stay(folder, clock):
    kept = journal(folder, clock, longest_bytes=20_000)
    reply = {"text": "x" * 900}
    for number in range(100):
        deliver(kept, Work(reply), f"job-{number}")
        assert sum(file.stat().st_size for file in folder.iterdir()) <= 20_000
    work = Work(reply)
    deliver(kept, work, "job-99")
    assert work.runs == 0
    deliver(kept, work, "job-0")
    assert work.runs == 1


def test_a_reply_that_is_larger_than_the_bound_is_not_kept(folder, clock):
    kept = journal(folder, clock, longest_bytes=1000)
    deliver(kept, Work(DONE), "small")
    deliver(kept, Work({"text": "x" * 2000}))
    assert len(list(folder.iterdir())) == 1


def test_what_is_of_others_in_the_folder_stays(folder, clock):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine" * 1000)
    kept = journal(folder, clock, longest_bytes=2000)
    for number in range(20):
        deliver(kept, Work({"text": "x" * 500}), f"job-{number}")
    assert (folder / "notes.txt").exists()


def test_a_folder_that_can_not_be_written_costs_a_warning(tmp_path, clock, caplog):
    (tmp_path / "file").write_text("")
    kept = journal(tmp_path / "file" / "journal", clock)
    work = Work(DONE)
    with caplog.at_level(logging.WARNING):
        assert deliver(kept, work) == DONE
        assert deliver(kept, work) == DONE
    assert work.runs == 2
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("action", ["list", "describe", "render", "health"])
def test_questions_are_answered_anew(folder, clock, action):
    kept, work = journal(folder, clock), Work(DONE)
    for _ in range(2):
        kept.answer({"id": "job-1", "input": {"action": action}}, work, CancellationToken())
    assert work.runs == 2


def test_the_settings_say_where_and_whether(tmp_path):
    assert open_journal(Settings(journal_path="off")) is None
    assert open_journal(Settings(journal_path="OFF")) is None
    assert open_journal(Settings()) is not None
    kept = open_journal(Settings(journal_path=tmp_path / "here"))
    deliver(kept, Work(DONE))
    assert len(list((tmp_path / "here").iterdir())) == 1


def resize(**payload):
    return {"workflow": "resize", "payload": payload}


def ends(log, job_id):
    """The lines that say how a job ended."""
    return [
        line
        for line in log.read_text().splitlines()
        if f"job_id={job_id}" in line
        and any(f" job {end}" in line for end in ("done", "failed", "cancelled", "answered"))
    ]


def test_a_job_delivered_twice_runs_once_also_after_a_restart(comfy_url, tmp_path):
    with serve_runpod_queue() as queue:
        environment = worker_environment(comfy_url, **queue.environment(), JOURNAL_PATH=str(tmp_path / "journal"))
        log = tmp_path / "log"
        with running_worker(environment, log):
            job_id = queue.submit(resize(width=21))
            first = queue.wait(job_id, 60)
            queue.submit(resize(width=21), id=job_id)
            refused = queue.submit(resize(width=5000))
            queue.wait(refused, 60)
        again_log = tmp_path / "again"
        with running_worker(environment, again_log):
            queue.submit(resize(width=21), id=job_id)
            queue.wait(queue.submit(resize(width=22)), 60)
        finals = [body for body in queue.posts(job_id) if body.get("status") != "IN_PROGRESS"]
    assert len(finals) == 3
    assert finals[0] == finals[1] == finals[2] == first
    assert len(ends(log, job_id)) == 2
    assert " job answered again " in ends(log, job_id)[1]
    (failed,) = ends(log, refused)
    assert " WARNING job failed " in failed
    assert "code=invalid_payload parameters=width" in failed
    (answered,) = ends(again_log, job_id)
    assert " job answered again " in answered


def test_without_a_queue_nothing_is_kept(comfy_url, tmp_path):
    environment = worker_environment(comfy_url, JOURNAL_PATH=str(tmp_path / "journal"))
    done = run_handler(environment, "--test_input", json.dumps({"id": "job-1", "input": resize(width=9)}))
    assert done.returncode == 0
    assert not (tmp_path / "journal").exists()
