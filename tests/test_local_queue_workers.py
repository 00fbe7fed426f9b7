"""One worker for each ComfyUI: what is shared, and what a ComfyUI that does not answer costs."""

import pytest
from support.local_queue import Desk, at_once, ended, job, queue_of
from support.workflows import ROOT

from engine.backend import Backend
from engine.catalog import Catalog
from engine.errors import ComfyUnavailable, SettingsError, WorkflowNotReady
from engine.local_queue import JobState, Submission
from engine.local_queue.answering import RunnerAnswer
from engine.local_queue.lanes import runners
from engine.replies import failure_reply
from engine.settings import Settings, load_settings
from engine.simulator import Simulator
from engine.storage import Storages

AWAY = failure_reply(ComfyUnavailable("no answer"))


def away(*_):
    """An answer whose ComfyUI does not answer."""
    return AWAY


def test_two_comfyuis_run_two_jobs_at_once(tmp_path):
    one, other = Desk(), Desk()
    with queue_of(tmp_path, one, other) as jobs:
        ids = [jobs.submit(job(name)).id for name in ("first", "second", "third")]
        assert {one.begun(), other.begun()} == {"first", "second"}
        assert (jobs.counts().running, jobs.get(ids[2]).position) == (2, 0)
        other.end()
        assert other.begun() == "third"
        other.end()
        one.end()
        assert {ended(jobs, each).state for each in ids} == {JobState.COMPLETED}


def test_a_comfyui_that_does_not_answer_does_not_eat_the_queue(tmp_path):
    with queue_of(tmp_path, away, at_once, begin=False) as jobs:
        ids = [jobs.submit(job(str(number))).id for number in range(10)]
        jobs.start()
        records = [ended(jobs, each) for each in ids]
    assert {each.state for each in records} == {JobState.COMPLETED}
    assert sum(each.attempts for each in records) in (10, 11)


def test_a_worker_that_pauses_keeps_no_job_from_another(tmp_path):
    asked = []

    def gone(job_id, *_):
        asked.append(job_id)
        return AWAY

    with queue_of(tmp_path, gone, at_once) as jobs:
        while not asked:
            ended(jobs, jobs.submit(job("before")).id)
        for number in range(4):
            ended(jobs, jobs.submit(job(str(number))).id)
    assert len(asked) == 1


def test_a_job_fails_where_no_comfyui_answers(tmp_path):
    with queue_of(tmp_path / "one", away) as jobs:
        record = ended(jobs, jobs.submit(job("one")).id)
        assert record.reply == AWAY
        assert (record.state, record.attempts) == (JobState.FAILED, 1)
    with queue_of(tmp_path / "two", away, away) as jobs:
        record = ended(jobs, jobs.submit(job("two")).id)
        assert (record.state, record.attempts) == (JobState.FAILED, 2)
        assert jobs.counts().ready == 0


def test_a_job_that_ran_when_its_comfyui_went_away_is_not_handed_on(tmp_path):
    one, other = Desk(), Desk()
    with queue_of(tmp_path, one, other) as jobs:
        ids = {name: jobs.submit(job(name)).id for name in ("first", "second")}
        mine = one.begun()
        other.begun()
        one.end(AWAY)
        assert ended(jobs, ids[mine]).state is JobState.FAILED
        assert one.idle()


def test_several_comfyuis_are_named_and_only_the_local_server_uses_them(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFY_URL", "http://127.0.0.1:1/, http://127.0.0.1:2")
    settings = load_settings()
    assert settings.comfy_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    catalog = Catalog([tmp_path])
    with pytest.raises(SettingsError, match="COMFY_URL: names 2, and only the local server uses several"):
        Backend(settings, catalog, simulate=True)
    lanes = runners(settings, catalog, lambda own: Storages(own, default="directory"), simulate=False)
    assert [lane.runner.settings.comfy_url for lane in lanes] == list(settings.comfy_urls)
    for lane in lanes:
        lane.backend.close()
    monkeypatch.setenv("COMFY_URL", "http://127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(SettingsError, match="must begin with http"):
        load_settings()


def test_a_runner_answers_the_jobs_of_the_queue(tmp_path):
    settings, ready = Settings(output_folder=tmp_path / "outputs"), []
    (lane,) = runners(settings, Catalog([ROOT]), lambda own: Storages(own, default="directory"), simulate=True)

    def before_first(_cancel):
        if not ready:
            raise WorkflowNotReady("its models are not there yet")

    with lane.backend, queue_of(tmp_path / "queue", RunnerAnswer(lane.runner, before_first=before_first)) as jobs:

        def run(**document):
            return ended(jobs, jobs.submit(Submission(input=document, workflow=document.get("workflow", ""))).id)

        assert run(workflow="txt2img", payload={}).reply["failure"]["code"] == "workflow_not_ready"
        assert run(action="list").state is JobState.COMPLETED  # needs no ComfyUI
        ready.append(True)
        payload = {"prompt": "a lighthouse", "seed": 41, "width": 64, "height": 64}
        made = run(workflow="txt2img", payload=payload)
        assert made.state is JobState.COMPLETED, made.reply
        assert made.reply["outputs"][0]["path"].startswith(str(tmp_path / "outputs"))
        assert [each.id for each in jobs.history(search="lighthouse 41")[0]] == [made.id]
        assert run(workflow="txt2imgs").reply["failure"]["code"] == "unknown_workflow"
        secret = tmp_path / "secret.png"
        secret.write_bytes(b"picture")
        stolen = run(workflow="img2img", payload={"prompt": "x", "image": str(secret)})
        assert (stolen.state, stolen.reply["failure"]["code"]) == (JobState.FAILED, "input_rejected")


def test_jobs_wait_for_a_comfyui_that_is_started_after_the_server(tmp_path):
    with Simulator() as before:
        url = before.url
    settings = Settings(comfy_url=url, output_folder=tmp_path / "outputs")
    (lane,) = runners(settings, Catalog([ROOT]), lambda own: Storages(own, default="directory"), simulate=True)
    with lane.backend, queue_of(tmp_path / "queue", RunnerAnswer(lane.runner)) as jobs:
        payload = {"width": 16}
        sent = [jobs.submit(Submission(input={"workflow": "resize", "payload": payload})).id for _ in range(3)]
        given_up = jobs.cancel(sent[0])
        assert given_up.state is JobState.CANCELLED
        with Simulator(port=int(url.rpartition(":")[2])):
            assert [ended(jobs, each).state for each in sent[1:]] == [JobState.COMPLETED] * 2
