"""The outermost edge: whatever happens, one reply that arrives, one line that says how the job ended."""

import io
import json
import logging

import pytest
from support.runners import runner_on
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.cancellation import CancellationToken
from engine.envelope import answer
from engine.errors import Cancelled, ComfyUnavailable, EngineError, InvalidPayload, Problem
from engine.logs import Lines, Redactor
from engine.replies import MOST_LEVELS, failure_reply, fitting, fitting_failure

RESIZE = {"workflow": "resize", "payload": {"width": 9}}
SECRET_PROMPT = "a very private lighthouse"


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


def raising(error):
    def comfy():
        raise error

    return comfy


def ends(caplog):
    return [record for record in caplog.records if record.getMessage() in ("job done", "job failed", "job cancelled")]


def only_end(caplog):
    (record,) = ends(caplog)
    return record


@pytest.fixture
def runner(comfy, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    return runner_on(comfy, tmp_path)


def test_a_job_is_told_when_it_is_taken_and_when_it_is_done(runner, caplog):
    reply = answer({"workflow": "resize", "payload": {"width": 9, "height": 9}}, runner, job_id="job-1")
    taken = [record for record in caplog.records if record.getMessage() == "job taken"]
    assert [record.fields["action"] for record in taken] == ["run"]
    done = only_end(caplog)
    assert done.levelno == logging.INFO
    assert set(done.fields) >= {"fetch", "queue", "execute", "store", "total", "outputs", "bytes"}
    assert done.fields["outputs"] == 1
    assert done.fields["bytes"] == reply["outputs"][0]["size_bytes"]
    assert runner.tally.jobs() == {"done": 1, "failed": {}, "cancelled": 0, "running": 0}


def test_a_callers_failure_is_a_warning_without_what_was_sent(runner, caplog):
    document = {
        "workflow": "txt2img",
        "payload": {"prompt": SECRET_PROMPT, "sampler_name": SECRET_PROMPT, "steps": 999},
    }
    reply = answer(document, runner, job_id="job-1")
    assert SECRET_PROMPT in json.dumps(reply)
    failed = only_end(caplog)
    assert failed.levelno == logging.WARNING
    assert failed.fields["code"] == "invalid_payload"
    assert set(failed.fields["parameters"].split(", ")) >= {"steps"}
    assert SECRET_PROMPT not in caplog.text + repr([record.__dict__ for record in caplog.records])
    assert runner.tally.jobs()["failed"] == {"invalid_payload": 1}
    assert runner.tally.last_error is None


def test_a_failure_of_ours_is_an_error_and_remembered(tmp_path, caplog):
    runner = runner_on(raising(ComfyUnavailable("no ComfyUI answers", detail="a traceback")), tmp_path)
    answer(RESIZE, runner, job_id="job-1")
    failed = only_end(caplog)
    assert failed.levelno == logging.ERROR
    assert (failed.fields["code"], failed.fields["error"]) == ("comfy_unavailable", "no ComfyUI answers")
    assert failed.fields["detail"] == "a traceback"
    assert failed.fields["total"] >= 0
    assert (runner.tally.last_error.code, runner.tally.last_error.job_id) == ("comfy_unavailable", "job-1")


def test_a_cancelled_job_is_told_once(runner, caplog):
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        answer(RESIZE, runner, job_id="job-1", cancel=cancel)
    assert only_end(caplog).getMessage() == "job cancelled"
    assert runner.tally.jobs() == {"done": 0, "failed": {}, "cancelled": 1, "running": 0}


def test_where_a_job_was_that_did_not_end_well_is_told(runner, caplog, checkpoint):
    cancel = CancellationToken()
    payload = {"prompt": "x", "steps": 50, "width": 64, "height": 64, "ckpt_name": checkpoint, "seed": 71}

    def at_a_step(progress):
        if progress.step > 1:
            cancel.cancel()

    document = {"workflow": "txt2img", "payload": payload}
    with pytest.raises(Cancelled):
        answer(document, runner, job_id="job-1", cancel=cancel, on_progress=at_a_step)
    assert only_end(caplog).fields["node"].startswith("KSampler (")


ASKING = {"1": {"class_type": "Ask", "inputs": {"api_key": "my-own-key", "auth_token": "my-other-key", "seed": 7}}}
S3_CONFIG = {
    "accessId": "my-own-id",
    "accessSecret": "s3cr3t",
    "bucketName": "b-u-c-k-e-t",
    "endpointUrl": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(
    ("document", "s3_config", "secret"),
    [
        ({"workflow": ASKING}, None, "my-own-key"),
        ({"workflow": ASKING}, None, "my-other-key"),
        ({"workflow": json.dumps(ASKING)}, None, "my-own-key"),
        (RESIZE, S3_CONFIG, "my-own-id"),
        (RESIZE, S3_CONFIG, "s3cr3t"),
    ],
)
def test_what_a_request_brings_of_secrets_is_in_no_line(tmp_path, document, s3_config, secret):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Lines(Redactor()))
    settings = {"allow_raw_workflows": True, "allow_s3_config": True, "allow_private_urls": True}
    runner = runner_on(raising(ComfyUnavailable(f"it said {secret}", detail=f"it said {secret}")), tmp_path, **settings)
    logging.getLogger("engine").addHandler(handler)
    try:
        answer(document, runner, job_id="job-1", s3_config=s3_config)
    finally:
        logging.getLogger("engine").removeHandler(handler)
    assert "it said ***" in written.getvalue()
    assert secret not in written.getvalue()


def test_questions_are_no_jobs(runner):
    for action in ("list", "health"):
        assert "error" not in answer({"action": action}, runner, job_id="job-1")
    assert answer({"action": "describe", "workflow": "none"}, runner, job_id="job-1")["error"]
    assert runner.tally.jobs() == {"done": 0, "failed": {}, "cancelled": 0, "running": 0}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("boom /secret/path"), "internal_error"),
        (RecursionError("too deep"), "internal_error"),
        (MemoryError(), "out_of_memory"),
        (SystemExit(3), "internal_error"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "internal_error"),
        (ExceptionGroup("several", [ValueError("/secret/path")]), "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_is_raised_becomes_a_reply(tmp_path, caplog, error, code):
    runner = runner_on(raising(error), tmp_path)
    reply = answer(RESIZE, runner, job_id="job-1")
    assert reply["failure"]["code"] == code
    assert "/secret/path" not in json.dumps(reply)
    failed = only_end(caplog)
    assert failed.levelno == logging.ERROR
    assert failed.exc_info[1] is error
    assert runner.tally.jobs() == {"done": 0, "failed": {code: 1}, "cancelled": 0, "running": 0}


@pytest.mark.parametrize("levels", [MOST_LEVELS, 500, 100_000])
@pytest.mark.parametrize("key", ["payload", "workflow", "images", "unknown"])
def test_a_request_that_is_nested_too_deeply_is_refused(runner, levels, key):
    value = nested(levels)
    reply = answer({"workflow": "resize", key: value}, runner, job_id="job-1", s3_config={})
    assert reply["failure"]["code"] == "invalid_request"
    assert "nested more than" in reply["error"]
    while isinstance(value, list):  # taken apart by hand: Python's own clean-up would go as deep
        (value,) = value


@pytest.mark.parametrize(
    "document", [None, [], "text", 5, {}, {"action": ["run"]}, {"workflow": "\ud800"}, {"\ud800": 1}]
)
def test_what_is_no_request_gets_a_reply_that_arrives(runner, document):
    reply = answer(document, runner, job_id="job-1")
    assert reply["error"]
    json.dumps(reply, ensure_ascii=False).encode()  # as the SDK writes it


def test_a_failure_arrives_however_much_it_quotes(runner):
    document = {"workflow": "resize", "payload": {f"{number}{'é' * 100_000}": 1 for number in range(150)}}
    reply = answer(document, runner, job_id="job-1")
    assert reply["error"].startswith("invalid_payload: ")
    assert len(json.dumps(reply)) < 2_000_000


@pytest.mark.parametrize("limit", [2_000, 30_000, 300_000])
def test_a_failure_fits_the_limit(limit):
    problems = [Problem(f"parameter_{number}", "é" * 5000) for number in range(100)]
    reply = fitting_failure(InvalidPayload(problems=problems, hint="h" * 10_000), limit)
    assert len(json.dumps(reply)) <= limit
    assert reply["failure"]["code"] == "invalid_payload"


def test_a_short_failure_stays_as_it_is():
    error = EngineError("it failed", hint="do this", problems=[Problem("steps", "must be less")])
    assert fitting_failure(error, 10_000) == failure_reply(error)


def test_half_a_character_does_not_cost_the_result():
    reply = {"outputs": [{"text": "half \ud83d of one", "\udc00": ["\ud800"]}], "values": {"whole": "😀"}}
    arrives = fitting(reply, 10_000)
    json.dumps(arrives, ensure_ascii=False).encode()
    assert arrives == {"outputs": [{"text": "half ? of one", "?": ["?"]}], "values": {"whole": "😀"}}


@pytest.mark.parametrize("reply", [{"x": object()}, {"x": float("nan")}, {"x": {1, 2}}, {"x": nested(MOST_LEVELS)}])
def test_what_can_not_be_posted_is_no_reply(reply):
    with pytest.raises((TypeError, ValueError)):
        fitting(reply, 10_000)


def test_whose_fault_a_graph_is(comfy, tmp_path, caplog):
    runner = runner_on(comfy, tmp_path, allow_raw_workflows=True)
    graph = {"1": {"class_type": "NoSuchNode", "inputs": {}}}
    reply = answer({"workflow": graph}, runner, job_id="job-1")
    assert reply["failure"]["code"] in ("graph_rejected", "invalid_payload", "invalid_request")
    assert only_end(caplog).levelno == logging.WARNING


def test_a_broken_workflow_is_the_authors(comfy, tmp_path, caplog):
    runner = runner_on(comfy, tmp_path, Catalog([ROOT, broken(tmp_path)]))
    assert answer({"workflow": "broken", "payload": {}}, runner, job_id="job-1")["failure"]["code"] == "invalid_map"
    assert only_end(caplog).levelno == logging.ERROR


def broken(folder):
    write_workflow(folder / "more", "broken", {}, {"parameters": {}})
    return folder / "more"
