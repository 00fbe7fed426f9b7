"""What a workflow must find, and which of it only some payloads need."""

import pytest
from support.operator_workflows import CONTROL_NET, LORAS, everything_graph, everything_map
from support.workflows import ROOT, make_workflow

from engine import Catalog

DEFAULT = "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"


@pytest.fixture
def needs(tmp_path):
    def make(parameter_map, *paths, graph=None):
        document = {**parameter_map, "requires": {"models": [{"path": path} for path in paths]}}
        return make_workflow(tmp_path, document, graph).needs

    return make


def model_of(found, path):
    (model,) = [each for each in found.models if each.path == path]
    return model.always, model.default_of


def test_a_model_in_a_fixed_place_is_always_needed(needs):
    found = needs({"parameters": {}}, DEFAULT)
    assert model_of(found, DEFAULT) == (True, ())
    assert set(found.classes) >= {"KSampler", "CheckpointLoaderSimple", "SaveImage"}
    assert found.other_classes == ()


def test_one_where_a_parameter_writes_is_its_default_alone(needs):
    parameters = {"checkpoint": {"type": "string", "bind": "$['4'].inputs.ckpt_name"}}
    assert model_of(needs({"parameters": parameters}, DEFAULT), DEFAULT) == (False, ("checkpoint",))
    assert model_of(Catalog([ROOT])["txt2img"].needs, DEFAULT) == (False, ("ckpt_name",))


def test_one_that_a_choice_offers_is_needed_by_those_who_choose_it(needs):
    names = [DEFAULT.partition("/")[2], "other.safetensors"]
    parameters = {"checkpoint": {"type": "string", "enum": names, "bind": "$['4'].inputs.ckpt_name"}}
    other = "checkpoints/other.safetensors"
    assert model_of(needs({"parameters": parameters}, DEFAULT, other), other) == (False, ())


def test_one_whose_name_an_expression_may_put_together_is_needed_by_whose_graph_names_it(needs):
    document = {
        "parameters": {"size": {"type": "string", "enum": ["large", "small"], "default": "large"}},
        "computed": {"$['4'].inputs.ckpt_name": "{{ size }}-model.safetensors"},
    }
    large = "checkpoints/large-model.safetensors"
    found = needs(document, large, "x/loaded-by-a-node-itself.onnx")
    assert model_of(found, large) == (False, ())
    assert model_of(found, "x/loaded-by-a-node-itself.onnx") == (True, ())


def test_a_file_without_an_ending_is_not_one_that_any_expression_puts_together(needs):
    document = {
        "parameters": {"size": {"type": "string", "enum": ["large", "small"], "default": "large"}},
        "computed": {"$['4'].inputs.ckpt_name": "{{ size }}-model.safetensors"},
    }
    assert model_of(needs(document, "x/tokenizer/tables"), "x/tokenizer/tables") == (True, ())
    other = document | {"computed": {"$['4'].inputs.ckpt_name": "{{ size }}-vocabulary"}}
    assert model_of(needs(other, "x/large-vocabulary"), "x/large-vocabulary") == (False, ())


def test_what_switches_and_empty_lists_leave_out_is_needed_by_some(needs):
    control_net, lora = f"controlnet/{CONTROL_NET}", f"loras/{LORAS[0]}"
    found = needs(everything_map(), control_net, lora, DEFAULT, graph=everything_graph())
    for path in (control_net, lora):
        assert model_of(found, path) == (False, ())
    assert model_of(found, DEFAULT) == (False, ("ckpt_name",))
    # Passed by, or replaced, with all that only they need; what they are linked to stays.
    assert set(found.other_classes) >= {"ControlNetLoader", "ControlNetApplyAdvanced", "LoraLoader", "ImageScaleBy"}
    assert set(found.classes) >= {"CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "SaveImage"}


def test_a_node_that_no_output_needs_is_no_need(needs, tmp_path):
    graph = everything_graph()
    graph["99"] = {"class_type": "Unheard", "inputs": {"ckpt_name": "aside.safetensors"}}
    document = {"parameters": {}, "outputs": {"image": {"node": "9"}}}
    found = needs(document, "checkpoints/aside.safetensors", graph=graph)
    assert "Unheard" not in (*found.classes, *found.other_classes)
    assert model_of(found, "checkpoints/aside.safetensors") == (False, ())


def test_a_graph_names_a_model_with_the_folders_below_its_kind(needs):
    document = {"parameters": {"checkpoint": {"type": "string", "bind": "$['4'].inputs.ckpt_name"}}}
    (model,) = needs(document, "checkpoints/sdxl/base.safetensors").models
    for text, named in (("sdxl\\base.safetensors", True), ("base.safetensors", False), ("other.safetensors", False)):
        assert model.is_in({"4": {"class_type": "X", "inputs": {"ckpt_name": text}}}) is named
    assert model.is_in({"4": {"class_type": "X", "inputs": {"lora": {"on": True, "lora": "sdxl/base.safetensors"}}}})
