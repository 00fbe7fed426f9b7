"""Running a job in this process: what a caller of the engine notices beyond the worker and the command line."""

import tempfile
from pathlib import Path

import pytest
from support.runners import runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.cancellation import CancellationToken
from engine.comfyui import ComfyUI, new_prompt_id
from engine.errors import Cancelled, GraphRejected, InputUnavailable, InvalidPayload
from engine.job import Job
from engine.simulator import Simulator


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go, so that a test can see what is left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def job(workflow="resize", **payload):
    return Job(id="j1", workflow=workflow, payload=payload, prompt_id=new_prompt_id(), allow_files=True)


def test_nothing_is_left_behind_whatever_the_end(comfy, tmp_path, scratch):
    runner = runner_on(comfy, tmp_path)
    assert runner.run(job(width=20)).outputs[0].file.width == 20
    with pytest.raises(InputUnavailable):
        runner.run(job(image="@missing.png"))
    with pytest.raises(InvalidPayload):
        runner.run(job(width=-1))
    assert not list(scratch.glob("job-*"))


def test_a_missing_file_is_told_before_a_comfyui_is_started(tmp_path):
    def start():
        raise AssertionError("a ComfyUI was started")

    runner = runner_on(start, tmp_path)
    for payload in ({"image": "@missing.png"}, {"width": -1}, {"method": "lanczs", "width": -1}):
        with pytest.raises((InputUnavailable, InvalidPayload)) as caught:
            runner.run(job(**payload))
    assert {problem.where for problem in caught.value.problems} == {"width", "method"}


def test_a_cancelled_job_does_nothing(comfy, tmp_path):
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        runner_on(comfy, tmp_path).run(job(width=20), cancel=cancel)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_wrong_payload_is_one_also_when_comfyui_has_gone(tmp_path):
    with Simulator() as simulator, ComfyUI(simulator.url) as comfy:
        runner = runner_on(comfy, tmp_path)
        runner.run(job(width=20))
        simulator.stop()
        with pytest.raises(InvalidPayload):
            runner.run(job(method="lanczs", width=20))


def test_a_model_that_came_since_is_found(tmp_path):
    choices = {"CheckpointLoaderSimple.ckpt_name": ["a.safetensors"]}
    payload = {"prompt": "x", "ckpt_name": "b.safetensors", "width": 64, "height": 64, "steps": 1}
    with Simulator(choices=choices) as before, ComfyUI(before.url) as comfy:
        current = [comfy]
        runner = runner_on(lambda: current[0], tmp_path)
        with pytest.raises(InvalidPayload, match=r"a\.safetensors"):
            runner.run(job("txt2img", **payload))
        choices = {"CheckpointLoaderSimple.ckpt_name": ["a.safetensors", "b.safetensors"]}
        with Simulator(choices=choices) as after, ComfyUI(after.url) as other:
            current[0] = other
            assert runner.run(job("txt2img", **payload)).outputs


def test_comfyuis_complaint_is_reported_under_the_parameter(comfy, tmp_path):
    """A choice list that the map turned off is ComfyUI's to enforce."""
    folder = tmp_path / "mine"
    for part in ("templates", "schemas"):
        (folder / part).mkdir(parents=True)
    (folder / "templates" / "mine.json").write_text((ROOT / "templates" / "resize.json").read_text())
    (folder / "schemas" / "mine.json").write_text(
        '{"parameters": {"how": {"type": "string", "choices": false, "bind": "$[\'3\'].inputs.upscale_method"}},'
        ' "computed": {"$[\'3\'].inputs.image": {"expression": "[\'1\', 0]", "replaces_link": true}},'
        ' "outputs": {"image": {"node": "4"}}}'
    )
    with pytest.raises(GraphRejected) as caught:
        runner_on(comfy, tmp_path, Catalog([folder])).run(job("mine", how="magic"))
    assert [problem.where for problem in caught.value.problems] == ["how"]
    assert "magic" in caught.value.message
    assert str(Path.home()) not in caught.value.message
