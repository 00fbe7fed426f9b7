"""Node packs look for models in ComfyUI's own folder alone: what lies elsewhere is linked there."""

import os
import re
import shutil

import pytest
import requests
from support.runners import asked, refused, runner_on
from support.runpod_queue import serve_runpod_queue
from support.simulated_home import simulated_home
from support.worker import running_worker, worker_environment
from support.workflows import sampler_graph, write_workflow

from engine import Catalog
from engine.backend import Backend
from engine.models.pack_folders import show_to_packs
from engine.settings import load_settings
from engine.starting.screen import Facts, screen

SWAPPER = "insightface/inswapper_128.onnx"
BUFFALO = "insightface/models/buffalo_l/det_10g.onnx"
RUN = {"workflow": "poster", "payload": {}}

needs_rights = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def placed(models, *paths, text="weights"):
    for path in paths:
        file = models / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return models


@pytest.fixture
def home(tmp_path):
    return simulated_home(tmp_path / "comfyui", templates=None)


@pytest.fixture
def own(home):
    return placed(home / "models", "checkpoints/put_checkpoints_here")


@pytest.fixture
def volume(tmp_path):
    return placed(tmp_path / "volume", "models/checkpoints/far.safetensors").resolve()


@pytest.fixture
def settings(home, volume, monkeypatch):
    def settings(**more):
        for name, value in {"COMFY_HOME": home, "VOLUME_PATH": volume, **more}.items():
            monkeypatch.setenv(name, str(value))
        return load_settings()

    return settings


def paths(found):
    return [each.path for each in found if not each.problem]


def test_a_folder_that_is_not_there_or_empty_is_linked_as_a_whole(settings, own, volume):
    placed(volume / "models", SWAPPER, "RMBG/BiRefNet/config.json", ".cache/file", "README.md", "datasets/x", "unet/x")
    (own / "RMBG").mkdir()
    assert paths(show_to_packs(settings())) == ["RMBG", "insightface"]
    assert (own / SWAPPER).read_text() == "weights"
    placed(volume / "models", BUFFALO)  # which comes later
    assert (own / BUFFALO).exists()
    assert sorted(each.name for each in own.iterdir()) == ["RMBG", "checkpoints", "insightface"]
    assert show_to_packs(settings()) == []


def test_in_a_folder_that_has_something_what_is_missing_is_linked_one_by_one(settings, own, volume):
    placed(own, SWAPPER, "insightface/models/antelopev2/own.onnx", text="the image's")
    (own / "insightface/models/empty").mkdir()
    placed(volume / "models", SWAPPER, BUFFALO, "insightface/other.onnx", "insightface/.other.onnx.part")
    placed(volume / "models", "insightface/models/antelopev2/more.onnx", "insightface/models/empty/late.onnx")
    assert paths(show_to_packs(settings())) == [
        "insightface/models/antelopev2/more.onnx",
        "insightface/models/buffalo_l",
        "insightface/models/empty",
        "insightface/other.onnx",
    ]
    assert (own / SWAPPER).read_text() == "the image's"
    assert (own / "insightface/models/antelopev2/own.onnx").read_text() == "the image's"
    assert (own / BUFFALO).read_text() == "weights"
    assert sorted(each.name for each in (volume / "models/insightface/models/antelopev2").iterdir()) == ["more.onnx"]


def test_two_folders_of_models_give_both_of_what_they_have(settings, own, volume, tmp_path):
    mine = placed(tmp_path / "mine", SWAPPER, text="mine")
    placed(volume / "models", SWAPPER, BUFFALO)
    assert paths(show_to_packs(settings(MODELS_DIR=mine))) == [SWAPPER, "insightface/models"]
    assert (own / SWAPPER).read_text() == "mine"
    assert (own / BUFFALO).read_text() == "weights"
    assert not (mine / "insightface/models").exists()


def test_a_models_folder_that_is_a_link_to_the_volumes_is_left_as_it_is(settings, own, volume):
    placed(volume / "models", SWAPPER)
    (volume / "models" / "empty").mkdir()
    shutil.rmtree(own)
    own.symlink_to(volume / "models")
    assert show_to_packs(settings()) == []
    assert sorted(each.name for each in own.iterdir()) == ["checkpoints", "empty", "insightface"]


def test_a_link_of_somebodys_own_is_left_and_nothing_is_written_where_it_leads(settings, own, volume, tmp_path):
    theirs = placed(tmp_path / "theirs", "x.onnx")
    (own / "insightface").symlink_to(theirs)
    placed(volume / "models", SWAPPER)
    assert show_to_packs(settings()) == []
    assert [each.name for each in theirs.iterdir()] == ["x.onnx"]


def test_what_is_in_the_way_is_named(settings, own, volume):
    (own / "insightface").write_text("a file")
    placed(volume / "models", SWAPPER)
    assert show_to_packs(settings())[0].problem == f"{own / 'insightface'} is in the way, and is no folder"
    assert (own / "insightface").read_text() == "a file"


def test_a_link_that_leads_nowhere_gives_way(settings, own, volume):
    (own / "insightface").symlink_to(volume / "gone")
    placed(volume / "models", SWAPPER)
    assert paths(show_to_packs(settings())) == ["insightface"]
    assert (own / SWAPPER).exists()


def test_a_volume_with_comfyui_on_it_may_be_mounted_elsewhere(settings, volume, tmp_path):
    placed(volume, "ComfyUI/models/checkpoints/x", "ComfyUI/main.py")
    placed(volume / "models", SWAPPER)
    assert paths(show_to_packs(settings(COMFY_HOME=volume / "ComfyUI"))) == ["insightface"]
    volume.rename(tmp_path / "workspace")
    assert (tmp_path / "workspace/ComfyUI/models" / SWAPPER).read_text() == "weights"


def test_a_folder_of_models_that_holds_comfyui_is_not_linked_into_itself(settings, volume):
    placed(volume, "ComfyUI/models/checkpoints/x", "ComfyUI/main.py", SWAPPER)
    shutil.rmtree(volume / "models")
    assert paths(show_to_packs(settings(COMFY_HOME=volume / "ComfyUI", MODELS_DIR=volume))) == ["insightface"]


def test_the_own_folder_is_that_of_the_base_directory(settings, volume, tmp_path):
    placed(volume / "models", SWAPPER)
    base = tmp_path / "base"
    base.mkdir()
    assert paths(show_to_packs(settings(COMFY_ARGS=f"--base-directory {base}"))) == ["insightface"]
    assert (base / "models" / SWAPPER).exists()


def test_nothing_is_linked_for_a_comfyui_that_runs_elsewhere(settings, own, volume):
    placed(volume / "models", SWAPPER)
    assert show_to_packs(settings(COMFY_URL="http://127.0.0.1:1")) == []
    assert [each.name for each in own.iterdir()] == ["checkpoints"]


def poster(tmp_path, *required):
    """A workflow folder: the graph of txt2img, and a map that requires those models."""
    models = [{"path": path, "url": None, "source": "unverified"} for path in required]
    document = {"parameters": {}, "requires": {"models": models}}
    return write_workflow(tmp_path / "workflows", "poster", sampler_graph(), document)


@pytest.fixture
def worker(home, own, settings, tmp_path):
    """Makes a runner on a ComfyUI of our own, with its settings as the environment has them."""
    simulated_home(home)
    shutil.rmtree(own)
    catalog = Catalog([poster(tmp_path, SWAPPER, BUFFALO)])
    read = settings(COMFY_LOG=tmp_path / "comfyui.log")
    with Backend(read, catalog, simulate=False) as backend:
        yield runner_on(backend.comfy(), tmp_path, catalog, comfy_home=home, volume_path=read.volume_path)


def test_a_worker_runs_what_its_packs_find(worker, own, volume):
    placed(volume / "models", SWAPPER, BUFFALO)
    assert asked(worker, {"action": "list"})["workflows"][0]["status"] == "ready"
    assert not own.exists()  # a look links nothing
    assert asked(worker, RUN)["outputs"]
    assert (own / BUFFALO).exists()


def test_a_model_that_comes_to_a_running_worker_is_linked_when_it_is_looked_for(worker, own, volume):
    placed(own, "insightface/kept.onnx")
    placed(volume / "models", SWAPPER)
    worker.nodes(None)
    assert refused(worker, RUN)["problems"] == [{"parameter": "", "message": f"{BUFFALO} is missing"}]
    placed(volume / "models", BUFFALO)
    assert asked(worker, RUN)["outputs"]
    assert (own / BUFFALO).exists()


def test_a_model_that_packs_can_not_see_is_missing_with_what_to_do(worker, own, volume):
    placed(volume / "models", SWAPPER, BUFFALO)
    own.mkdir()
    (own / "insightface").write_text("in the way")
    worker.nodes(None)
    failure = refused(worker, RUN)
    assert [each["message"] for each in failure["problems"]] == [f"{SWAPPER} is missing", f"{BUFFALO} is missing"]
    assert f"link {volume / 'models' / SWAPPER} to {own / SWAPPER}, where node packs look" in failure["hint"]
    (own / "insightface").unlink()
    assert asked(worker, RUN)["outputs"]


def test_the_screen_counts_what_is_linked_once(settings, own, volume):
    placed(own, "insightface/of_the_image.onnx")
    placed(volume / "models", SWAPPER, BUFFALO, "RMBG/BiRefNet/config.json")
    read = settings()
    before = screen(Facts("", read), Catalog([]))["models"]
    assert before.endswith(": 3 in insightface, 1 in RMBG, 1 in checkpoints")
    show_to_packs(read)
    assert screen(Facts("", read), Catalog([]))["models"] == before


@needs_rights
def test_a_folder_that_can_not_be_written_to_is_told(settings, own, volume):
    placed(volume / "models", SWAPPER)
    own.chmod(0o555)
    try:
        (shown,) = show_to_packs(settings())
    finally:
        own.chmod(0o755)
    assert (shown.path, shown.problem) == ("insightface", "Permission denied")


def test_the_start_of_a_worker_links_them_and_says_so(tmp_path, home, own, volume):
    placed(volume / "models", SWAPPER, BUFFALO, "RMBG/BiRefNet/config.json")
    (own / "RMBG").write_text("in the way")
    simulated_home(home)
    variables = worker_environment(
        "",
        COMFY_HOME=str(home),
        VOLUME_PATH=str(volume),
        WORKFLOWS_PATH=str(poster(tmp_path, SWAPPER, BUFFALO)),
        COMFY_LOG=str(tmp_path / "comfyui.log"),
        HF_HOME=str(tmp_path / "hub"),
    )
    del variables["COMFY_URL"]
    log = tmp_path / "log"
    with serve_runpod_queue() as queue, running_worker(variables | queue.environment(), log):
        posted = queue.wait(queue.submit(RUN), 60)
    assert posted["output"]["outputs"]
    told = log.read_text()
    assert re.search(r"models are linked for node packs.* models=insightface\b", told)
    assert re.search(r"WARNING.*node packs may not find models.* models=RMBG .*is in the way", told)
    assert (own / SWAPPER).exists()


_PACK = """\
import os, folder_paths

class Swap:
    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ()

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": (sorted(os.listdir(os.path.join(folder_paths.models_dir, "insightface"))),)}}

NODE_CLASS_MAPPINGS = {"SwapOfTheTest": Swap}
"""


@pytest.mark.comfyui
def test_a_pack_of_a_real_comfyui_finds_them_below_its_own_models(comfy_variables, tmp_path, volume, monkeypatch):
    placed(volume / "models", SWAPPER)
    (tmp_path / "base" / "custom_nodes" / "swap.py").write_text(_PACK)  # its ComfyUI's base folder
    for name, value in (comfy_variables | {"VOLUME_PATH": str(volume)}).items():
        monkeypatch.setenv(name, value)
    with Backend(load_settings(), Catalog([]), simulate=False) as backend:
        backend.comfy().ready()
        described = requests.get(f"{backend.comfy().client.url}/object_info/SwapOfTheTest", timeout=10).json()
    assert described["SwapOfTheTest"]["input"]["required"]["model"][0] == ["inswapper_128.onnx"]
