"""Ready or not: what a workflow lacks on a worker, as its callers and its operator are told, and as it changes."""

import json

import pytest
from support.operator_workflows import CONTROL_NET
from support.runners import asked, refused, runner_on
from support.simulated_home import simulated_home
from support.workflows import ROOT, make_workflow, sampler_graph, write_workflow

from engine import Catalog
from engine.comfyui import ComfyProcess, ComfyUI, Supervisor
from engine.envelope import answer
from engine.nodes import NodeCatalogue, load_catalogue
from engine.simulator import Simulator

DEFAULT = "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"
STYLE = "style_models/style.safetensors"
URL = "https://example.com/style.safetensors"


def needing(folder, *paths, url=None, name="poster", parameters=None, **more):
    """A workflow whose graph is that of txt2img, and whose map requires those models."""
    models = [{"path": path, "url": url, "source": "unverified"} for path in paths]
    document = {"parameters": parameters or {}, "requires": {"models": models}, **more}
    return write_workflow(folder, name, sampler_graph(), document)


def placed(models, path):
    file = models / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    return file


def lines_of(runner):
    return {each["name"]: each for each in asked(runner, {"action": "list"})["workflows"]}


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path, models):
    """Makes a runner on a ComfyUI at a URL, the simulator, that lists what lies in `models`."""
    with Simulator(models=[models]) as simulator, ComfyUI(simulator.url) as comfy:

        def make(folder, **settings):
            return runner_on(comfy, tmp_path, Catalog([folder]), comfy_url=simulator.url, **settings)

        yield make


@pytest.fixture
def at_home(tmp_path, models):
    """Makes a runner on a ComfyUI of our own that is not started; `MODELS_DIR` is `models`."""
    home = simulated_home(tmp_path / "home", templates=None, models=[models])
    process = ComfyProcess(home, log_file=tmp_path / "comfyui.log")
    with ComfyUI(process.url, watch=Supervisor(process)) as comfy:

        def make(folder, **settings):
            given = {"comfy_home": home, "models_dir": models, **settings}
            return runner_on(comfy, tmp_path, Catalog([folder]), **given)

        make.comfy = comfy
        yield make


def needs(tmp_path, parameter_map, graph=None):
    return make_workflow(tmp_path, parameter_map, graph).needs


def model_of(found, path):
    (model,) = [each for each in found.models if each.path == path]
    return model


def test_a_model_in_a_fixed_place_is_always_needed(tmp_path):
    found = needs(tmp_path, {"parameters": {}, "requires": {"models": [{"path": DEFAULT}]}})
    assert model_of(found, DEFAULT).always
    assert set(found.classes) >= {"KSampler", "CheckpointLoaderSimple", "SaveImage"}
    assert found.other_classes == ()


def test_one_where_a_parameter_writes_is_its_default_alone(tmp_path):
    document = {
        "parameters": {"checkpoint": {"type": "string", "bind": "$['4'].inputs.ckpt_name"}},
        "requires": {"models": [{"path": DEFAULT}]},
    }
    model = model_of(needs(tmp_path, document), DEFAULT)
    assert (model.always, model.default_of) == (False, ("checkpoint",))


def test_one_that_a_choice_offers_is_needed_by_those_who_choose_it(tmp_path):
    other = "checkpoints/other.safetensors"
    names = [DEFAULT.partition("/")[2], "other.safetensors"]
    document = {
        "parameters": {"checkpoint": {"type": "string", "enum": names, "bind": "$['4'].inputs.ckpt_name"}},
        "requires": {"models": [{"path": DEFAULT}, {"path": other}]},
    }
    model = model_of(needs(tmp_path, document), other)
    assert (model.always, model.default_of) == (False, ())


def test_one_that_an_expression_puts_together_is_needed_by_whose_graph_names_it(tmp_path):
    document = {
        "parameters": {"size": {"type": "string", "enum": ["large", "small"], "default": "large"}},
        "computed": {"$['4'].inputs.ckpt_name": "{{ size }}-model.safetensors"},
        "requires": {"models": [{"path": "checkpoints/large-model.safetensors"}, {"path": "x/needed-anyway.pt"}]},
    }
    found = needs(tmp_path, document)
    assert not model_of(found, "checkpoints/large-model.safetensors").always
    assert model_of(found, "x/needed-anyway.pt").always  # no graph names it: a node loads it by itself
