"""A worker in a process of its own, on RunPod's queue: models come and go, and are fetched at its start."""

import contextlib
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from support.runpod_queue import serve_runpod_queue
from support.shelf import CONTENT, HALF, SHA256, Shelf
from support.simulated_home import simulated_home
from support.web import serve_web
from support.worker import running_worker, worker_environment
from support.workflows import ROOT, sampler_graph, write_workflow

from engine.comfyui import ComfyProcess
from engine.documents import read_json

CHECKPOINT = "checkpoints/poster.safetensors"
STYLE = "style_models/style.safetensors"
RANDOM = "random_sd15.safetensors"  # tests/conftest.py
RESIZE = {"workflow": "resize", "payload": {"width": 16}}


@pytest.fixture
def queue():
    with serve_runpod_queue() as queue:
        yield queue


@pytest.fixture
def server():
    with serve_web() as server:
        yield server


@pytest.fixture
def workflows(tmp_path):
    """A folder with `resize`, which needs no model, and `write(name, *models)` for others."""
    folder = tmp_path / "workflows"
    graph, document = (read_json(ROOT / part / "resize.json", label="") for part in ("templates", "schemas"))
    write_workflow(folder, "resize", graph, document)

    def write(name, *models, checkpoint=CHECKPOINT, parameters=None):
        graph = sampler_graph()
        graph["4"]["inputs"]["ckpt_name"] = checkpoint.partition("/")[2]
        graph["3"]["inputs"]["steps"] = 1
        graph["5"]["inputs"] |= {"width": 64, "height": 64}
        document = {"parameters": parameters or {}, "requires": {"models": list(models)}}
        return write_workflow(folder, name, graph, document)

    write.folder = folder
    return write


@pytest.fixture
def variables(tmp_path, queue, workflows):
    """What a worker sees whose ComfyUI is the simulator, which looks into `tmp_path / "models"`."""
    home = simulated_home(tmp_path / "home", templates=None, models=[tmp_path / "models"])

    def make(**more):
        own = {
            "COMFY_HOME": str(home),
            "COMFY_URL": "",
            "COMFY_LOG": str(tmp_path / "comfyui.log"),
            "MODELS_DIR": str(tmp_path / "models"),
            "VOLUME_PATH": str(tmp_path / "volume"),
            "HF_HOME": str(tmp_path / "hugging-face"),
            "WORKFLOWS_PATH": str(workflows.folder),
        }
        return worker_environment("", **(own | queue.environment() | more))

    return make


@pytest.fixture
def ask(queue):
    """Ask the worker, and give its output, or its failure."""

    def ask(document, seconds=60):
        posted = queue.wait(queue.submit(document), seconds)
        return posted["output"] if "error" not in posted else posted["output"]["failure"]

    def status(name):
        (line,) = [each for each in ask({"action": "list"})["workflows"] if each["name"] == name]
        return line["status"]

    ask.status = status
    return ask


def slow(server, workflows):
    """A workflow whose model comes by halves; the second comes when it is told to."""
    shelf = Shelf(pause_at=HALF)
    workflows("poster", {"path": CHECKPOINT, "url": server.answer("/a", shelf), "sha256": SHA256})
    return shelf


def placed(folder, path, content=b"weights"):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_list_health_and_jobs_follow_the_disk(tmp_path, variables, workflows, ask, wait_until):
    workflows("poster", {"path": CHECKPOINT}, {"path": STYLE})
    placed(tmp_path / "models", CHECKPOINT)
    log = tmp_path / "log"
    with running_worker(variables(), log):
        assert ask.status("poster") == "not_ready"
        assert ask({"workflow": "poster", "payload": {}})["code"] == "workflow_not_ready"
        assert ask(RESIZE)["outputs"]
        assert ask({"action": "health"})["status"] == "degraded"
        file = placed(tmp_path / "models", STYLE)
        assert ask({"workflow": "poster", "payload": {}})["outputs"]
        assert ask.status("poster") == "ready"
        assert ask({"action": "health"})["workflows"]["not_ready"] == 0
        file.unlink()
        wait_until(lambda: ask.status("poster") == "not_ready")
        assert ask({"workflow": "poster", "payload": {}})["code"] == "workflow_not_ready"
        health = ask({"action": "health"})["workflows"]
        assert health["missing"] == [{"kind": "model", "name": STYLE, "workflows": ["poster"]}]
    assert f"missing    {STYLE} (for poster)" in log.read_text()


def test_before_the_first_job_nothing_is_started_for_one_that_is_not_ready(tmp_path, variables, workflows, ask):
    workflows("poster", {"path": CHECKPOINT})
    with running_worker(variables(COMFY_START="first_job"), tmp_path / "log"):
        assert ask({"workflow": "poster", "payload": {}})["code"] == "workflow_not_ready"
        assert ask({"action": "health"})["status"] == "starting"
        placed(tmp_path / "models", CHECKPOINT)
        assert ask({"workflow": "poster", "payload": {}})["outputs"]


def test_at_the_start_what_is_missing_is_fetched_and_waited_for(
    tmp_path, variables, workflows, server, ask, queue, wait_until
):
    workflows(
        "poster", {"path": CHECKPOINT, "url": server.answer("/a", shelf := Shelf(pause_at=HALF)), "sha256": SHA256}
    )
    log = tmp_path / "log"
    with running_worker(variables(MODELS_FETCH="start"), log):
        job = queue.submit({"workflow": "poster", "payload": {}})
        wait_until(lambda: shelf.asked)
        assert queue.waiting() == [job]  # jobs wait, as for ComfyUI itself
        shelf.go.set()
        assert queue.wait(job, 60)["output"]["outputs"]
        assert ask({"action": "health"})["models_fetch"] == {"coming": [], "fetched": 1, "failed": []}
    assert (tmp_path / "models" / CHECKPOINT).read_bytes() == CONTENT
    assert f"{CHECKPOINT} (for poster; being fetched)" in log.read_text()
    assert re.search(f"a model is there.*{CHECKPOINT}", log.read_text())


def test_what_is_fetched_for_a_node_pack_is_found_where_the_pack_looks(tmp_path, variables, workflows, server, ask):
    near, far = "insightface/swapper.onnx", "RMBG/BiRefNet/weights.safetensors"
    url = server.answer("/a", Shelf())
    workflows("poster", *({"path": path, "url": url, "sha256": SHA256} for path in (CHECKPOINT, near, far)))
    own = tmp_path / "home" / "models"
    placed(own, "insightface/of_the_image.onnx")  # so that this folder is not one link, made before the file is there
    with running_worker(variables(MODELS_FETCH="start"), tmp_path / "log"):
        assert ask({"workflow": "poster", "payload": {}})["outputs"]
    assert [(own / path).read_bytes() for path in (near, far)] == [CONTENT, CONTENT]
    assert (tmp_path / "models" / near).read_bytes() == CONTENT


def test_what_takes_longer_than_runpod_allows_comes_beside_the_jobs(
    tmp_path, variables, workflows, server, ask, wait_until
):
    workflows(
        "poster", {"path": CHECKPOINT, "url": server.answer("/a", shelf := Shelf(pause_at=HALF)), "sha256": SHA256}
    )
    with running_worker(variables(MODELS_FETCH="start", RUNPOD_INIT_TIMEOUT="1"), tmp_path / "log"):
        assert ask(RESIZE)["outputs"]
        failure = ask({"workflow": "poster", "payload": {}})
        assert (failure["code"], failure["retryable"]) == ("workflow_not_ready", True)
        assert "being fetched" in failure["hint"]
        assert ask({"action": "health"})["models_fetch"]["coming"] == [CHECKPOINT]
        shelf.go.set()
        wait_until(lambda: ask.status("poster") == "ready")
        assert ask({"workflow": "poster", "payload": {}})["outputs"]


def test_a_fetch_that_fails_keeps_the_worker_from_nothing_else(tmp_path, variables, workflows, server, ask):
    workflows("poster", {"path": CHECKPOINT, "url": f"{server.url}/gone", "sha256": SHA256})
    workflows("other", {"path": STYLE}, checkpoint="checkpoints/other.safetensors")
    placed(tmp_path / "models", "checkpoints/other.safetensors")
    log = tmp_path / "log"
    with running_worker(variables(MODELS_FETCH="start"), log):
        assert ask(RESIZE)["outputs"]
        health = ask({"action": "health"})
        assert health["status"] == "degraded"
        failed = {each["name"]: each["message"] for each in health["models_fetch"]["failed"]}
        assert "404" in failed[CHECKPOINT]
        assert failed[STYLE] == "no map names a url for it"
        assert ask({"workflow": "poster", "payload": {}})["retryable"] is False
        placed(tmp_path / "models", STYLE)
        assert ask({"workflow": "other", "payload": {}})["outputs"]
        assert STYLE not in str(ask({"action": "health"})["models_fetch"])
    assert re.search(r"a model can't be fetched.*404", log.read_text())


def test_two_workers_on_one_volume_fetch_once(tmp_path, variables, workflows, server, queue, wait_until):
    workflows(
        "poster", {"path": CHECKPOINT, "url": server.answer("/a", shelf := Shelf(pause_at=HALF)), "sha256": SHA256}
    )
    environment = variables(MODELS_FETCH="start")
    more = environment | queue.environment(pod="second") | {"COMFY_LOG": str(tmp_path / "second-comfyui.log")}
    with running_worker(environment, tmp_path / "log"), running_worker(more, tmp_path / "second"):
        logs = [tmp_path / "log", tmp_path / "second"]
        wait_until(lambda: any("another process fetches it; waiting" in log.read_text() for log in logs))
        shelf.go.set()
        assert queue.wait(queue.submit({"workflow": "poster", "payload": {}}), 60)["output"]["outputs"]
    assert shelf.asked == [""]


@pytest.mark.parametrize("init_timeout", ["600", "1"], ids=["before jobs are taken", "while jobs are taken"])
def test_told_to_end_during_the_fetch_it_ends_and_the_next_goes_on(
    tmp_path, variables, workflows, server, queue, wait_until, init_timeout
):
    workflows(
        "poster", {"path": CHECKPOINT, "url": server.answer("/a", shelf := Shelf(pause_at=HALF)), "sha256": SHA256}
    )
    models = tmp_path / "models" / "checkpoints"
    with running_worker(variables(MODELS_FETCH="start", RUNPOD_INIT_TIMEOUT=init_timeout), tmp_path / "log") as process:
        wait_until(lambda: any(each.name.endswith(".part") and each.stat().st_size for each in models.glob(".*")))
        if init_timeout == "1":
            queue.wait(queue.submit(RESIZE), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(14) == 0  # less than the silence that a download puts up with
    assert not (models / "poster.safetensors").exists()
    shelf.go.set()
    with running_worker(variables(MODELS_FETCH="start"), tmp_path / "second"):
        assert queue.wait(queue.submit({"workflow": "poster", "payload": {}}), 60)["output"]["outputs"]
    assert re.fullmatch(r"bytes=\d+-", shelf.asked[-1])
    assert (models / "poster.safetensors").read_bytes() == CONTENT


def test_for_a_comfyui_elsewhere_somebody_has_to_say_where_its_models_are(tmp_path, variables, workflows, ask):
    from engine.simulator import Simulator

    workflows("poster", {"path": CHECKPOINT, "url": "https://127.0.0.1:1/a"})
    with Simulator() as simulator:
        environment = variables(MODELS_FETCH="start", MODELS_DIR="", COMFY_HOME="", COMFY_URL=simulator.url)
        with running_worker(environment, tmp_path / "log"):
            (failed,) = ask({"action": "health"})["models_fetch"]["failed"]
    assert "MODELS_DIR has to name the folder" in failed["message"]


def parameters():
    return {"checkpoint": {"type": "string", "bind": "$['4'].inputs.ckpt_name"}}


@pytest.fixture
def weights(comfy_home, tmp_path):
    """Makes a folder of models with the checkpoint of random weights in it; gives the file, and where it can be put."""

    def make(folder):
        file = folder / CHECKPOINT
        file.parent.mkdir(parents=True)
        source = (comfy_home / "models" / "checkpoints" / RANDOM).resolve()
        try:
            file.hardlink_to(source)
        except OSError:
            shutil.copy(source, file)  # on another disk
        return file, tmp_path / "away.safetensors"

    return make


@pytest.mark.comfyui
def test_a_real_comfyui_of_ours_follows_as_well(
    tmp_path, comfy_variables, variables, workflows, weights, ask, wait_until
):
    """Its own lists, too: a choice that appeared is taken at once, by its name and as the default."""
    workflows("poster", {"path": CHECKPOINT}, parameters=parameters())
    workflows("fixed", {"path": CHECKPOINT})
    graph = sampler_graph()
    graph["9"]["class_type"] = "NoSuchNode"
    graph["10"] = {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "x"}}
    write_workflow(workflows.folder, "foreign", graph, {"parameters": {}})
    file, away = weights(tmp_path / "models")
    file.rename(away)
    run, named = {"workflow": "fixed", "payload": {}}, {"checkpoint": CHECKPOINT.partition("/")[2]}
    log = tmp_path / "log"
    with running_worker(variables(**comfy_variables), log):
        lines = {each["name"]: each for each in ask({"action": "list"}, 300)["workflows"]}
        assert {name: line["status"] for name, line in lines.items()} == {
            "fixed": "not_ready",
            "foreign": "not_ready",
            "poster": "ready",
            "resize": "ready",
        }
        assert [each["name"] for each in lines["foreign"]["missing"]] == ["NoSuchNode"]
        assert [each["default_of"] for each in lines["poster"]["missing_for_some"]] == [["checkpoint"]]
        assert ask(RESIZE)["outputs"]  # ComfyUI's lists are read now
        assert ask(run)["code"] == "workflow_not_ready"
        assert ask({"workflow": "foreign", "payload": {}})["code"] == "workflow_not_ready"
        for _ in range(2):
            away.rename(file)
            assert ask(run, 120)["outputs"]
            assert ask({"workflow": "poster", "payload": named}, 120)["outputs"]
            assert ask.status("fixed") == "ready"
            file.rename(away)
            wait_until(lambda: ask.status("fixed") == "not_ready")
            assert ask(run)["code"] == "workflow_not_ready"
            assert ask({"workflow": "poster", "payload": named})["code"] == "workflow_not_ready"
        missing = ask({"action": "health"})["workflows"]["missing"]
        assert [each["name"] for each in missing] == ["NoSuchNode", CHECKPOINT]
    assert re.search("a workflow is not ready.*foreign.*NoSuchNode", log.read_text())


@pytest.mark.comfyui
def test_a_real_comfyui_at_a_url_is_asked(tmp_path, comfy_variables, variables, workflows, weights, ask, wait_until):
    workflows("fixed", {"path": CHECKPOINT}, {"path": "unheard_of/a.safetensors"})
    file, away = weights(tmp_path / "base" / "models")
    file.rename(away)
    run = {"workflow": "fixed", "payload": {}}
    process = ComfyProcess(
        Path(comfy_variables["COMFY_HOME"]),
        python=Path(comfy_variables["COMFY_PYTHON"]) if "COMFY_PYTHON" in comfy_variables else None,
        args=shlex.split(comfy_variables["COMFY_ARGS"]),
        log_file=tmp_path / "comfyui.log",
    )
    with contextlib.ExitStack() as stack:
        stack.callback(process.stop)
        process.start()
        environment = variables(COMFY_HOME="", MODELS_DIR="", COMFY_URL=process.url)
        stack.enter_context(running_worker(environment, tmp_path / "log"))
        (lacking,) = {each["name"]: each for each in ask({"action": "list"}, 120)["workflows"]}["fixed"]["missing"]
        assert lacking["name"] == CHECKPOINT  # of a kind that it does not know nothing is claimed
        assert ask(run)["code"] == "workflow_not_ready"
        away.rename(file)
        assert ask(run, 120)["outputs"]
        assert ask.status("fixed") == "ready"
        file.rename(away)
        wait_until(lambda: ask.status("fixed") == "not_ready")
        assert ask(run)["code"] == "workflow_not_ready"
