"""A job in RunPod's shape, and what `/stream` gives of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.authoring.openapi_replies import JOB_STATES
from engine.errors import InvalidPayload, InvalidRequest, Problem
from engine.local_queue import JobRecord, JobState
from engine.replies import failure_reply
from engine.server.platform_documents import job_document
from engine.server.platform_routes import submission_of
from engine.server.streaming import Streams

RESULT = {
    "workflow": "resize",
    "outputs": [{"name": "image", "path": "/data/a.png", "url": "{server}/jobs/j/files/0/a.png?signature=1"}],
    "values": {"prompt": "{server}/jobs/mine"},
}
BASE = "http://127.0.0.1:8000"


def record(state, **more):
    return JobRecord("j", state, "resize", {}, created_at=100.0, **more)


def test_a_finished_job_has_its_output_and_its_times_in_milliseconds():
    done = record(JobState.COMPLETED, started_at=100.25, finished_at=102.0, reply=RESULT)
    document = job_document(done, BASE)
    assert {key: document[key] for key in ("id", "status", "delayTime", "executionTime")} == {
        "id": "j",
        "status": "COMPLETED",
        "delayTime": 250,
        "executionTime": 1750,
    }
    assert document["output"]["outputs"][0]["url"] == f"{BASE}/jobs/j/files/0/a.png?signature=1"
    assert "path" not in document["output"]["outputs"][0]  # of this machine
    assert document["output"]["values"] == RESULT["values"]  # what the caller sent is left alone
    assert job_document(done, BASE, paths=True)["output"]["outputs"][0]["path"] == "/data/a.png"
    assert "error" not in document


def test_a_job_that_failed_has_its_error_in_one_text_and_the_failure_as_its_output():
    reply = failure_reply(InvalidPayload(problems=[Problem("steps", "must be at most 150 (got 500)")]))
    document = job_document(record(JobState.FAILED, started_at=100.0, finished_at=100.0, reply=reply), BASE)
    assert document["error"] == "invalid_payload: steps: must be at most 150 (got 500)"
    assert document["output"] == {"failure": reply["failure"]}


def test_a_job_that_runs_has_its_progress_and_one_that_waits_nothing():
    progress = {"node": "KSampler", "step": 3, "steps": 20, "fraction": 0.15}
    running = job_document(record(JobState.IN_PROGRESS, started_at=101.0, progress=progress), BASE)
    assert running["output"] == progress
    assert running["delayTime"] == 1000
    assert "executionTime" not in running
    assert job_document(record(JobState.IN_QUEUE, position=2), BASE) == {"id": "j", "status": "IN_QUEUE"}
    assert job_document(record(JobState.CANCELLED), BASE) == {"id": "j", "status": "CANCELLED"}


@given(
    st.sampled_from(JobState),
    st.none() | st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
    st.none() | st.just(RESULT),
)
def test_whatever_the_clock_says_times_are_whole_and_not_negative(state, started, finished, reply):
    document = job_document(record(state, started_at=started, finished_at=finished, reply=reply), BASE)
    assert document["status"] in JOB_STATES
    assert all(isinstance(document[key], int) and document[key] >= 0 for key in document if key.endswith("Time"))


def test_a_stream_gives_each_progress_once_then_the_result_once_and_ends():
    streams = Streams()

    def ask(state, **more):
        job = record(state, **more)
        return [each["output"] for each in streams.since(job, job_document(job, BASE))["stream"]]

    one, two = {"step": 1}, {"step": 2}
    assert ask(JobState.IN_QUEUE) == []
    assert ask(JobState.IN_PROGRESS, progress=one) == [one]
    assert ask(JobState.IN_PROGRESS, progress=one) == []
    assert ask(JobState.IN_PROGRESS, progress=two) == [two]
    assert ask(JobState.COMPLETED, progress=two, reply={"text": "x"}) == [{"text": "x"}]
    assert ask(JobState.COMPLETED, reply={"text": "x"}) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "must be an object (got an array)"),
        ({}, "input: is missing"),
        ({"input": None}, "input: is missing"),
        ({"input": {}, "webhook": "ftp://x"}, "webhook: must be a URL"),
        ({"input": {}, "policy": {"ttl": 0}}, "policy.ttl: must be milliseconds, above 0"),
        ({"input": {}, "policy": {"executionTimeout": "5"}}, "policy.executionTimeout: must be milliseconds, above 0"),
        ({"input": {}, "policy": 5, "s3Config": []}, "policy: must be an object (got a number); s3Config: must be"),
    ],
)
def test_what_is_no_job_is_refused_with_every_problem(body, said):
    with pytest.raises(InvalidRequest) as refused:
        submission_of(body, BASE)
    assert said in refused.value.message


def test_a_job_is_taken_with_all_that_stands_beside_its_input():
    body = {
        "input": {"workflow": "resize", "payload": {}},
        "webhook": "https://example.com/done",
        "policy": {"executionTimeout": 900_000, "ttl": 3_600_000, "lowPriority": True},
        "s3Config": {"bucketName": "mine"},
        "whatever": "the platform lets it be",
    }
    taken = submission_of(body, BASE)
    assert (taken.workflow, taken.webhook, taken.base_url) == ("resize", "https://example.com/done", BASE)
    assert (taken.execution_seconds, taken.lifetime_seconds) == (900, 3600)
    assert taken.s3_config == {"bucketName": "mine"}
