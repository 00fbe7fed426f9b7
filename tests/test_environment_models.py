"""What the workflows lack on a worker with several environments: each has models of its own."""

import contextlib
import json

import pytest
from support.environment_workers import worker_on_volume
from support.environments import make_environment, starts
from support.runpod_queue import serve_runpod_queue
from support.workflows import sampler_graph, write_workflow

CHECKPOINT = "checkpoints/poster.safetensors"


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def worker(volume, tmp_path):
    """Starts a worker on that volume."""
    with serve_runpod_queue() as queue, contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(worker_on_volume(volume, queue, tmp_path / "log", **more))


@pytest.fixture
def posters(tmp_path):
    """A folder of workflows with one, `poster`, that needs a checkpoint."""
    graph = sampler_graph()
    graph["4"]["inputs"]["ckpt_name"] = CHECKPOINT.partition("/")[2]
    graph["3"]["inputs"]["steps"] = 1
    graph["5"]["inputs"] |= {"width": 64, "height": 64}
    document = {"parameters": {}, "requires": {"models": [{"path": CHECKPOINT, "source": "unverified"}]}}
    return write_workflow(tmp_path / "workflows", "poster", graph, document)


def has_checkpoint(models):
    """That folder of models, with the checkpoint in it."""
    (models / CHECKPOINT).parent.mkdir(parents=True)
    (models / CHECKPOINT).write_bytes(b"weights")
    return models


@pytest.mark.parametrize("own_has_it", [True, False])
def test_what_is_missing_follows_the_environment_that_runs(worker, volume, tmp_path, posters, own_has_it):
    full, empty = has_checkpoint(tmp_path / "full"), tmp_path / "empty"
    empty.mkdir()
    for name, models in (("own", full if own_has_it else empty), ("other", empty if own_has_it else full)):
        make_environment(volume, name, models=models, models_dir=str(models))
    asked = worker(VERSION_ID="own", WORKFLOWS_PATH=str(posters))
    ready, lacking = ("own", "other") if own_has_it else ("other", "own")
    for _ in range(2):
        failure = asked.refused(lacking, workflow="poster")
        assert failure["code"] == "workflow_not_ready", failure
        asked.run(ready, workflow="poster")
        assert asked.listed() == {"poster": "ready"}
    expected = 1 if own_has_it else 2  # what is refused starts nothing
    assert len(starts(volume / "comfyui.log")) == expected


def test_describe_says_what_is_missing_in_the_environment_that_it_names(worker, volume, tmp_path, posters):
    full, empty = has_checkpoint(tmp_path / "full"), tmp_path / "empty"
    empty.mkdir()
    make_environment(volume, "own", models=full, models_dir=str(full))
    make_environment(volume, "other", models=empty, models_dir=str(empty))
    make_environment(volume, "no-lock", lock=False)
    asked = worker(VERSION_ID="own", WORKFLOWS_PATH=str(posters))
    described = {name: asked.described("poster", name) for name in (None, "own", "other", "no-lock")}
    assert described[None]["status"] == described["own"]["status"] == "ready"
    assert [each["name"] for each in described["other"]["missing"]] == [CHECKPOINT]
    assert described["no-lock"]["failure"]["code"] == "environment_unverified"
    assert asked.where() == ("own", "0.8.0")
    assert len(starts(volume / "comfyui.log")) == 1


def test_an_environment_that_was_given_another_folder_of_models_is_served_from_it(worker, volume, tmp_path, posters):
    full, empty = has_checkpoint(tmp_path / "full"), tmp_path / "empty"
    empty.mkdir()
    make_environment(volume, "own", models=empty)
    make_environment(volume, "other", models=full, models_dir=str(empty), args="--cpu")
    asked = worker(VERSION_ID="own", WORKFLOWS_PATH=str(posters), COMFY_START="first_job")
    assert asked.refused("other", workflow="poster")["code"] == "workflow_not_ready"
    (volume / "versions" / "other.json").write_text(json.dumps({"models_dir": str(full)}))
    asked.run("other", workflow="poster")
