"""Payloads: what is refused and how, what is filled in, and that the exported JSON Schema gives the same verdict."""

import copy
import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.payloads import exact, json_values, parameters, values_for
from support.workflows import ROOT, make_workflow, sampler_graph

from engine import Catalog
from engine.errors import InvalidPayload, RenderFailed
from engine.map_file import parse_map
from engine.nodes import NodeCatalogue, load_catalogue
from engine.payload import PayloadValidator
from engine.payload_schema import payload_schema


@pytest.fixture(scope="module")
def txt2img():
    return Catalog([ROOT])["txt2img"]


def problems_of(workflow, payload, live=None):
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate(payload, live)
    return {problem.where: problem.message for problem in caught.value.problems}


def test_every_problem_is_told_at_once_with_what_is_allowed(txt2img):
    found = problems_of(
        txt2img,
        {"prompt": "", "stepz": 3, "steps": 500, "sampler_name": "eulr", "width": 65, "seed": -2, "cfg_scale": "7"},
    )
    assert found["prompt"] == "must not be empty"
    assert found["steps"] == "must be at most 150 (got 500)"
    assert found["width"] == "must be a multiple of 8 (got 65)"
    assert found["seed"] == "must be at least -1 (got -2)"
    assert found["cfg_scale"] == 'must be a finite number (got "7")'
    assert found["stepz"].startswith('unknown parameter (did you mean "steps"?); the parameters are: prompt, ')
    assert found["sampler_name"] == '"eulr" is not available; did you mean "euler"?'


@pytest.mark.parametrize(
    ("payload", "where", "message"),
    [
        ({}, "prompt", "is required"),
        ({"prompt": None}, "prompt", "must be a string (got null)"),
        ({"prompt": "x", "steps": "20"}, "steps", 'must be a whole number (got "20")'),
        ({"prompt": "x", "steps": True}, "steps", "must be a whole number (got true)"),
        ({"prompt": "x", "steps": 2.5}, "steps", "must be a whole number (got 2.5)"),
        ({"prompt": "x", "steps": None}, "steps", "must be a whole number (got null)"),
        ({"prompt": "x", "cfg_scale": False}, "cfg_scale", "must be a finite number (got false)"),
        ({"prompt": "x", "cfg_scale": float("nan")}, "cfg_scale", "must be a finite number (got NaN)"),
        ({"prompt": "x", "cfg_scale": 10**400}, "cfg_scale", "must be a finite number"),
        ({"prompt": "x", "seed": 2**64}, "seed", "must be at most 18446744073709551615"),
        ({"prompt": "\ud800"}, "prompt", "must be valid Unicode text"),
        (["prompt"], "", "the payload must be an object of parameters (got an array)"),
        ("a cat", "", "the payload must be an object of parameters (got a string)"),
        (None, "", "the payload must be an object of parameters (got null)"),
    ],
)
def test_refused(txt2img, payload, where, message):
    assert problems_of(txt2img, payload)[where].startswith(message)


def test_a_whole_float_is_an_integer_and_is_rendered_as_one(txt2img):
    values = txt2img.validate({"prompt": "x", "steps": 20.0})
    assert json.dumps(txt2img.render(values)["3"]["inputs"]["steps"]) == "20"


def test_what_is_absent_comes_from_the_map_then_from_the_template(txt2img):
    values = txt2img.validate({"prompt": "x"})
    assert (values["cfg_scale"], values["negative_prompt"]) == (7, "")  # the map's, over the template's 8
    assert (values["steps"], values["ckpt_name"]) == (20, "v1-5-pruned-emaonly-fp16.safetensors")  # the template's


def test_a_default_list_is_nobodys_to_change(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {"tags": {"type": "array", "items": {"type": "string"}, "default": ["sea"]}},
            "computed": {"$['6'].inputs.text": "tags|join(', ')"},
        },
    )
    workflow.validate({})["tags"].append("mine")
    assert workflow.validate({})["tags"] == ["sea"]


def test_seeds_are_drawn_where_absent_or_minus_one_and_kept_where_sent(txt2img):
    drawn = {txt2img.validate({"prompt": "x"} | more)["seed"] for more in ({}, {}, {"seed": -1}, {"seed": -1})}
    assert len(drawn) == 4
    assert all(0 <= seed < 2**53 for seed in drawn)
    assert txt2img.validate({"prompt": "x", "seed": 2**64 - 1})["seed"] == 2**64 - 1


def test_a_seed_without_a_default_is_drawn_not_taken_from_the_export(tmp_path):
    workflow = make_workflow(tmp_path, {"parameters": {"seed": {"type": "seed", "bind": "$['3'].inputs.seed"}}})
    assert workflow.validate({})["seed"] != workflow.validate({})["seed"]


def test_a_narrower_input_narrows_the_parameter_and_its_seeds(tmp_path):
    info = json.loads(json.dumps(load_catalogue().object_info["KSampler"]))
    info["input"]["required"]["seed"][1]["max"] = 9
    nodes = NodeCatalogue({**load_catalogue().object_info, "KSampler": info})
    make_workflow(tmp_path, {"parameters": {"seed": {"type": "seed", "bind": "$['3'].inputs.seed"}}})
    workflow = Catalog([tmp_path], nodes)["made"]
    assert all(0 <= workflow.validate({})["seed"] <= 9 for _ in range(50))
    assert problems_of(workflow, {"seed": 10})["seed"] == "must be at most 9 (got 10)"
    assert workflow.payload_schema()["properties"]["seed"]["maximum"] == 9


def test_the_nodes_range_holds_where_the_map_says_none(tmp_path):
    workflow = make_workflow(tmp_path, {"parameters": {"steps": {"type": "integer", "bind": "$['3'].inputs.steps"}}})
    assert problems_of(workflow, {"steps": 0})["steps"] == "must be at least 1 (got 0)"


def test_enum_narrows_the_choices_and_false_turns_them_off(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "sampler": {"type": "string", "bind": "$['3'].inputs.sampler_name", "enum": ["euler", "heun"]},
                "scheduler": {"type": "string", "bind": "$['3'].inputs.scheduler", "choices": False},
            }
        },
    )
    assert "must be one of: euler, heun" in problems_of(workflow, {"sampler": "lms"})["sampler"]
    assert workflow.validate({"scheduler": "of my own"})["scheduler"] == "of my own"
    assert workflow.payload_schema()["properties"]["sampler"]["enum"] == ["euler", "heun"]


def test_lists_of_files_hold_only_where_a_running_comfyui_says_so(txt2img):
    offline = {"prompt": "x", "ckpt_name": "anything.safetensors"}
    assert txt2img.validate(offline)["ckpt_name"] == "anything.safetensors"
    live = live_with("CheckpointLoaderSimple", "ckpt_name", ["sd15.safetensors"])
    message = problems_of(txt2img, {"prompt": "x", "ckpt_name": "sd51.safetensors"}, live)["ckpt_name"]
    assert message == '"sd51.safetensors" is not on this worker; did you mean "sd15.safetensors"?'


def test_a_running_comfyuis_lists_come_before_the_bundled_ones(txt2img):
    live = live_with("KSampler", "sampler_name", ["of_a_pack"])
    payload = {"prompt": "x", "sampler_name": "of_a_pack"}
    with pytest.raises(InvalidPayload):
        txt2img.validate(payload)
    assert txt2img.validate(payload, live)["sampler_name"] == "of_a_pack"


def live_with(class_type, name, choices):
    info = copy.deepcopy(load_catalogue().object_info)
    info[class_type]["input"]["required"][name][0] = choices
    return NodeCatalogue(info, from_files=load_catalogue().from_files, live=True)


def test_choices_are_checked_inside_lists(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "passes": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"sampler": {"type": "string", "choices": "KSampler.sampler_name"}},
                    },
                    "default": [],
                }
            },
            "computed": {"$['3'].inputs.steps": "passes|length + 1"},
        },
    )
    found = problems_of(workflow, {"passes": [{"sampler": "euler"}, {"sampler": "eulr"}, {"sampel": 1}]})
    assert set(found) == {"passes[1].sampler", "passes[2].sampel"}


def test_rules_are_reported_like_any_problem():
    resize = Catalog([ROOT])["resize"]
    assert problems_of(resize, {"width": 0}) == {"height, width": "one of width and height must be above 0"}


def test_a_rule_sees_a_files_name_and_never_echoes_its_content(tmp_path):
    graph = sampler_graph() | {"10": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {"image": {"type": "image", "bind": "$['10'].inputs.image"}},
            "rules": [{"that": "image is none or image|int > 3", "message": "no"}],
        },
        graph,
    )
    with pytest.raises(RenderFailed) as caught:
        workflow.validate({"image": "SECRETSECRET"})
    assert "SECRET" not in str(caught.value)


def test_a_refusal_stays_small():
    workflow = Catalog([ROOT])["txt2img"]
    payload = {f"unknown{index}": index for index in range(20_000)} | {"x" * 1_000_000: 1}
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate(payload)
    assert len(caught.value.problems) == 101
    assert len(json.dumps(caught.value.failure())) < 100_000


def test_defaults_are_what_validation_makes_of_them(tmp_path):
    item = {"type": "object", "properties": {"s": {"type": "number", "default": 1}}}
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "loras": {"type": "array", "items": item, "default": [{}]},
                "steps": {"type": "integer", "default": 20.0, "bind": "$['3'].inputs.steps"},
            },
            "computed": {"$['3'].inputs.cfg": "loras[0].s"},
        },
    )
    values = workflow.validate({})
    assert values["loras"] == [{"s": 1}]
    assert json.dumps(values["steps"]) == "20"


def test_a_parameter_with_two_choice_inputs_takes_what_both_take(tmp_path):
    graph = sampler_graph()
    graph["20"] = {"class_type": "LatentUpscale", "inputs": {"upscale_method": "area", "samples": ["3", 0]}}
    graph["21"] = {"class_type": "ImageScale", "inputs": {"upscale_method": "area", "image": ["8", 0]}}
    places = ["$['20'].inputs.upscale_method", "$['21'].inputs.upscale_method"]
    workflow = make_workflow(
        tmp_path,
        {"parameters": {"method": {"type": "string", "bind": places}}, "outputs": {"image": {"node": "9"}}},
        graph,
    )
    enum = workflow.payload_schema()["properties"]["method"]["enum"]
    assert "lanczos" not in enum
    for method in ("lanczos", "bislerp"):
        assert "method" in problems_of(workflow, {"method": method})
    for method in enum:
        assert workflow.validate({"method": method})["method"] == method


def test_a_whole_number_into_a_fractional_input_keeps_to_its_range(tmp_path):
    graph = sampler_graph() | {"20": {"class_type": "ImageScaleBy", "inputs": {"scale_by": 1.0, "image": ["8", 0]}}}
    scale = {"type": "integer", "default": 2, "bind": "$['20'].inputs.scale_by"}
    workflow = make_workflow(tmp_path, {"parameters": {"scale": scale}, "outputs": {"image": {"node": "9"}}}, graph)
    assert problems_of(workflow, {"scale": 0})["scale"] == "must be at least 1 (got 0)"
    assert workflow.payload_schema()["properties"]["scale"]["minimum"] == 1


def test_half_a_character_is_refused_everywhere(txt2img):
    assert "Unicode" in problems_of(txt2img, {"prompt": "x", "negative_prompt": "\ud800"})["negative_prompt"]


def test_media_is_never_echoed():
    image = "data:image/png;base64," + "QUJD" * 1000
    for workflow, payload in (
        ("resize", {"image": [image]}),
        ("resize", {"image": {"uri": image}}),
        ("resize", {"image": {"url": [image]}}),
        ("resize", {"image": {"url": "x", "headers": {"Authorization": ["QUJDQUJD"]}}}),
        ("resize", {"image": {"url": "x", "headers": {"QUJDQUJD": 1}}}),
        ("resize", {"image": {"url": "x", "headers": "QUJDQUJD"}}),
        ("resize", {"image": ""}),
    ):
        for where, message in problems_of(Catalog([ROOT])[workflow], payload).items():
            assert "QUJD" not in where + message


def test_a_file_may_be_left_out_or_null_unless_it_is_required():
    catalog = Catalog([ROOT])
    assert catalog["resize"].validate({"image": None})["image"] is None
    assert problems_of(catalog["img2img"], {"prompt": "x"})["image"] == "is required"
    assert "image" in problems_of(catalog["img2img"], {"prompt": "x", "image": None})


def test_multiple_of_is_decimal_as_people_write_it():
    validator = PayloadValidator(parsed({"x": {"type": "number", "multipleOf": 0.01, "default": None}}), {})
    assert validator.validate({"x": 0.07}, {})["x"] == 0.07
    with pytest.raises(InvalidPayload):
        validator.validate({"x": 0.075}, {})


def parsed(parameter_documents):
    return parse_map({"parameters": parameter_documents}, label="test").parameters


@pytest.mark.parametrize("name", ["txt2img", "img2img", "resize"])
def test_a_standard_validator_accepts_the_schema_and_its_examples(name):
    workflow = Catalog([ROOT])[name]
    schema = workflow.payload_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in workflow.examples:
        jsonschema.Draft202012Validator(schema).validate(example.payload)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


@st.composite
def cases(draw):
    names = draw(st.lists(st.sampled_from(["a", "b", "long_name"]), min_size=1, max_size=3, unique=True))
    documents = {}
    for name in names:
        documents[name] = draw(parameters())
        if draw(st.booleans()):
            documents[name]["required"] = True
        elif draw(st.booleans()):
            documents[name]["default"] = None
    chosen = draw(st.lists(st.sampled_from([*names, "unknown"]), unique=True))
    payload = {name: draw(values_for(documents.get(name, {"type": "string"}))) for name in chosen}
    return documents, payload


@given(cases())
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_json_schema_gives_our_verdict(case):
    documents, payload = case
    declared = parsed(documents)
    schema = payload_schema(declared, {}, title="generated")
    theirs = jsonschema.Draft202012Validator(exact(schema)).is_valid(exact(payload))
    try:
        PayloadValidator(declared, {}).validate(payload, {})
        ours = True
    except InvalidPayload:
        ours = False
    assert ours == theirs


@given(st.data())
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
def test_no_payload_makes_anything_but_values_or_a_refusal_that_names_its_parameter(data):
    workflow = FUZZED[data.draw(st.sampled_from(sorted(FUZZED)))]
    names = [*workflow.parameters, "unknown", ""]
    keys = data.draw(st.lists(st.sampled_from(names) | st.text(max_size=6), max_size=6, unique=True))
    payload = {key: data.draw(json_values | st.sampled_from(["euler", "x", 8, 64, 0.5, -1])) for key in keys}
    values, problems = outcome(workflow, payload)
    assert (values is None) == bool(problems)
    for problem in problems:
        known = [key for key in (*payload, *workflow.parameters) if key]
        assert problem.where.startswith(tuple(known)) or (problem.where == "" and "" in payload)
        assert problem.message
    if values is not None:
        assert list(values) == list(workflow.parameters)
        json.dumps(workflow.render(values), allow_nan=False)


def outcome(workflow, payload):
    try:
        return workflow.validate(payload), ()
    except InvalidPayload as error:
        return None, error.problems


FUZZED = {name: Catalog([ROOT])[name] for name in ("txt2img", "img2img", "resize")}
