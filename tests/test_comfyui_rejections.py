"""Every refusal that was captured from a real ComfyUI, in words for people; and whatever else may come."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.workflows import SHARED

from engine.comfyui.complaints import dropped_outputs, left_out, rejection, warnings_of
from engine.errors import GraphRejected

CAPTURES = SHARED / "comfyui" / "captures"

SAID = {
    "value_not_in_list": "CheckpointLoaderSimple (4).ckpt_name: "
    '"missing.safetensors" is not on this worker; available: random_sd15.safetensors',
    "required_input_missing": "SaveImage (4).images: is required, and the graph has nothing for it",
    "invalid_input_type": 'EmptyImage (1).width: must be a whole number (got "wide")',
    "value_smaller_than_min": "EmptyImage (1).width: must be at least 1 (got 0)",
    "value_bigger_than_max": "EmptyImage (1).width: must be at most 16384 (got 1000000000)",
    "link_to_missing_node": 'SaveImage (4).images: is linked to node "99", which the graph does not have',
    "link_to_missing_output": "SaveImage (4).images: is linked to output 7 of ImageScale (3), which has no such output",
    "bad_linked_input": "SaveImage (4).images: "
    'must be a link, the id of a node and the number of an output (got ["3"])',
    "return_type_mismatch": "VAEDecode (8).samples: "
    "takes LATENT, but is linked to output 0 of CheckpointLoaderSimple (4), which gives MODEL",
    "unknown_class": "node 2 is of class NoSuchNode, which this ComfyUI lacks",
    "no_class_type": "node 2: the node has no class_type",
    "no_outputs": "the graph has no output node",
    "empty_prompt": "the graph has no output node",
    "no_prompt_key": "ComfyUI refused the graph: No prompt provided",
    "no_inputs_key": 'ImageInvert (2): the node has no "inputs"',
    "cycle": "the links go round in a circle: 2 -> 3 -> 2",
    "prompt_is_list": "ComfyUI refused the graph",
}


def captured(name):
    path = CAPTURES / name
    if not path.exists():
        pytest.skip("needs the captures beside the repository")
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", SAID)
def test_a_captured_refusal_is_one_sentence(name):
    capture = captured("prompt_validation_failures.json")[name]
    graph = capture["request"]["json"].get("prompt", {})

    assert rejection(capture["body"], graph if isinstance(graph, dict) else {}).message == SAID[name]


def test_every_captured_refusal_has_its_sentence():
    captures = captured("prompt_validation_failures.json")
    assert {name for name, each in captures.items() if "body" in each} == set(SAID)


def test_an_output_that_was_left_out_is_told_by_its_reason():
    capture = captured("prompt_200_with_node_errors.json")["prompt"]
    graph, node_errors = capture["request"]["json"]["prompt"], capture["body"]["node_errors"]

    assert dropped_outputs(node_errors) == {"20"}
    assert warnings_of(node_errors, graph) == [
        'LoadImage (21).image: "nope.png" is not on this worker (ComfyUI left out SaveImage (20))'
    ]
    assert left_out(node_errors, graph, ["4"]) is None
    assert left_out(node_errors, graph, ["4", "20"]).message == 'LoadImage (21).image: "nope.png" is not on this worker'


def refused(graph, error, node_id="1"):
    node_errors = {node_id: {"errors": [error], "class_type": graph[node_id]["class_type"], "dependent_outputs": []}}
    return rejection({"error": {"type": "prompt_outputs_failed_validation"}, "node_errors": node_errors}, graph).message


SAMPLER = {"1": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "Second\npass"}}}


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        (
            "value_smaller_than_min",
            {"input_config": ["FLOAT", {"min": 0.5}], "received_value": 0.0},
            "at least 0.5 (got 0)",
        ),
        (
            "value_bigger_than_max",
            {"input_config": ["INT", {"max": 3}], "received_value": True},
            "at most 3 (got true)",
        ),
        ("invalid_input_type", {"input_config": ["FLOAT"], "received_value": None}, "must be a number (got null)"),
        ("value_not_in_list", {"input_config": None, "received_value": "eular"}, '"eular" is not available'),
        (
            "value_not_in_list",
            {"input_config": [["euler", "heun"], {}], "received_value": "eular"},
            '"eular" is not available; did you mean "euler"?',
        ),
        (
            "value_not_in_list",
            {"input_config": ["COMBO", {"options": ["euler", "heun"]}], "received_value": 7},
            "7 is not available; available: euler, heun",
        ),
        ("custom_validation_failed", {"details": "model"}, "its node does not accept the value"),
        ("custom_validation_failed", {"details": "model - can't use 'x': None"}, 'can\'t use "x": null'),
        ("of_tomorrow", {"message": "No", "details": "flag=False in '/opt/app/x.py'"}, 'No: flag=false in "x.py"'),
    ],
)
def test_a_complaint_says_the_title_and_speaks_json(kind, facts, said):
    texts = {key: facts.pop(key) for key in ("message", "details") if key in facts}
    error = {"type": kind, "message": "", "details": "", **texts, "extra_info": {"input_name": "model", **facts}}

    message = refused(SAMPLER, error)

    assert message.startswith('KSampler "Second pass" (1).model: ')
    assert message.endswith(said)


def test_an_unknown_class_in_the_words_of_later_versions():
    graph = {"12": {"class_type": "IPAdapterAdvanced", "inputs": {}, "_meta": {"title": "IPAdapter"}}}
    error = {
        "type": "missing_node_type",
        "message": "Node 'IPAdapter' not found. The custom node may not be installed.",
        "details": "Node ID '#12'",
        "extra_info": {"node_id": "12", "class_type": "IPAdapterAdvanced", "node_title": "IPAdapter"},
    }

    found = rejection({"error": error, "node_errors": {}}, graph)

    assert found.message == 'node "IPAdapter" (12) is of class IPAdapterAdvanced, which this ComfyUI lacks'
    assert "node pack" in found.hint


def test_a_picture_as_base64_is_not_said_back():
    error = {
        "type": "invalid_input_type",
        "extra_info": {"input_name": "seed", "input_config": ["INT", {}], "received_value": "iVBORw0KGgo" * 500},
    }
    assert "iVBORw0KGgoiVBORw0KGgo" not in refused(SAMPLER, error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "value_not_in_list",
        "value_smaller_than_min",
        "value_bigger_than_max",
        "invalid_input_type",
        "return_type_mismatch",
        "bad_linked_input",
        "custom_validation_failed",
        "exception_during_validation",
        "exception_during_inner_validation",
        "missing_node_type",
        "prompt_outputs_failed_validation",
    ]
)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "input_name": JSON,
        "input_config": JSON | st.lists(JSON, min_size=1, max_size=2),
        "received_value": JSON,
        "received_type": JSON,
        "linked_node": JSON | st.tuples(JSON, JSON).map(list),
        "exception_type": st.sampled_from(["KeyError", "IndexError", "x.Y"]) | JSON,
        "node_id": JSON,
        "class_type": JSON,
    },
)
ERROR = st.fixed_dictionaries(
    {}, optional={"type": KINDS | JSON, "message": JSON, "details": JSON, "extra_info": EXTRA | JSON}
)
NODE = st.fixed_dictionaries(
    {}, optional={"errors": st.lists(ERROR | JSON, max_size=3) | JSON, "dependent_outputs": JSON, "class_type": JSON}
)
IDS = st.sampled_from(["1", "2", "3"]) | st.text(max_size=5)
NODE_ERRORS = st.dictionaries(IDS, NODE | JSON, max_size=3) | JSON
ANSWERS = st.fixed_dictionaries({}, optional={"error": ERROR | JSON, "node_errors": NODE_ERRORS}) | JSON
GRAPHS = st.dictionaries(
    IDS,
    st.fixed_dictionaries(
        {"class_type": st.text(max_size=8)},
        optional={
            "inputs": st.dictionaries(st.text(max_size=5), JSON | st.tuples(IDS | JSON, JSON).map(list), max_size=3),
            "_meta": JSON | st.fixed_dictionaries({"title": JSON}),
        },
    ),
    max_size=3,
)


@example(
    {"error": {"type": "prompt_outputs_failed_validation"}},
    {"1": {"class_type": "A", "inputs": {"a": ["1", float("nan")], "b": ["1", float("inf")]}}},
)
@given(ANSWERS, GRAPHS)
def test_no_answer_is_too_strange(answer, graph):
    found = rejection(answer, graph)

    assert isinstance(found, GraphRejected)
    assert found.message
    json.dumps(found.failure())
    assert "Traceback" not in found.message


@given(NODE_ERRORS, GRAPHS, st.lists(IDS, max_size=2))
def test_no_node_errors_are_too_strange(node_errors, graph, needed):
    found = left_out(node_errors, graph, needed)

    assert found is None or found.message
    assert all(isinstance(each, str) for each in warnings_of(node_errors, graph))


def test_a_huge_answer_gives_a_bounded_message():
    error = {
        "type": "t" * 9999,
        "message": "m " * 99999,
        "details": "d " * 99999,
        "extra_info": {"input_name": "n" * 99999},
    }
    node_errors = {str(number) * 99: {"errors": [error] * 50, "class_type": "c" * 99999} for number in range(500)}

    found = rejection({"node_errors": node_errors}, {})

    assert len(json.dumps(found.failure())) < 300_000
    assert len(found.complaints) <= 200
    assert all(len(warning) < 2000 for warning in warnings_of(node_errors, {}))
    assert not re.search(r"(c{101})", found.message)
