"""`POST /prompt`: the simulator answers what a real ComfyUI 0.3.64 answered, from the same node catalogue."""

from typing import Any

import pytest
import requests
from support.simulator import COMFYUI_FACTS, capture, needs_captures, plain_graph, run, text_to_image

from engine.nodes import NodeCatalogue
from engine.simulator import Simulator

CASES = (
    [name for name, case in capture("prompt_validation_failures").items() if "request" in case]
    if (COMFYUI_FACTS / "captures").is_dir()
    else []
)
PROSE = {"tooltip"}


@pytest.fixture(scope="module")
def old_comfy():
    """The one that the captures were taken from: same version, same checkpoint."""
    catalogue = NodeCatalogue.load(COMFYUI_FACTS / "object_info-0.3.64.json")
    with Simulator(catalogue, choices={"CheckpointLoaderSimple.ckpt_name": ["random_sd15.safetensors"]}) as comfy:
        yield comfy


@pytest.fixture(scope="module")
def comfy():
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}) as comfy:
        yield comfy


def comparable(value: Any) -> Any:
    """Without what changes from run to run or is left out of catalogues."""
    if isinstance(value, dict):
        kept = {key: comparable(item) for key, item in value.items() if key not in PROSE}
        if "traceback" in kept:
            assert kept["traceback"], "a traceback has lines"
            kept["traceback"] = "…"
        return kept
    return [comparable(item) for item in value] if isinstance(value, list) else value


def post(url: str, body: Any) -> requests.Response:
    return requests.post(f"{url}/prompt", json=body, timeout=20)


@needs_captures
@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_word_for_word_what_comfyui_answers(old_comfy, name):
    case = capture("prompt_validation_failures")[name]
    answer = post(old_comfy.url, case["request"]["json"])
    assert answer.status_code == case["status"]
    if "text" in case["body"]:
        assert answer.text == case["body"]["text"]
        assert answer.headers["content-type"] == case["body"]["_text_or_binary"]
    else:
        assert comparable(answer.json()) == comparable(case["body"])


@needs_captures
def test_all_kinds_of_refusal_were_compared():
    assert len(CASES) == 17


@needs_captures
def test_what_is_no_json_is_a_server_error(old_comfy):
    case = capture("prompt_validation_failures")["invalid_json"]
    answer = requests.post(f"{old_comfy.url}/prompt", data=b"{nope", timeout=20)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        case["status"],
        case["ctype"],
        case["text"],
    )


@needs_captures
def test_an_invalid_output_is_dropped_and_the_rest_runs(old_comfy):
    case = capture("prompt_200_with_node_errors")
    request = case["prompt"]["request"]["json"]
    answer = post(old_comfy.url, {"prompt": request["prompt"]})
    assert answer.status_code == 200
    assert answer.json()["node_errors"] == case["prompt"]["body"]["node_errors"]
    entry = run(old_comfy.url, request["prompt"])
    assert entry["prompt"][4] == case["history"]["prompt"][4]
    assert list(entry["outputs"]) == ["4"]


@needs_captures
def test_partial_execution_runs_the_named_outputs_only(old_comfy):
    case = capture("prompt_fields")
    request = case["partial"][0]["request"]["json"]
    entry = run(
        old_comfy.url,
        request["prompt"],
        partial_execution_targets=request["partial_execution_targets"],
    )
    assert entry["prompt"][4] == case["partial"][2]
    assert entry["outputs"]["5"]["images"][0]["type"] == "temp"
    assert list(entry["outputs"]) == ["5"]
    bad = case["partial_bad"]
    answer = post(old_comfy.url, bad["request"]["json"])
    assert (answer.status_code, answer.json()) == (bad["status"], bad["body"])


def problems(comfy: Simulator, graph: dict[str, Any]) -> dict[str, list[str]]:
    answer = post(comfy.url, {"prompt": graph})
    assert answer.status_code == 400, answer.text
    return {
        node_id: [error["type"] for error in entry["errors"]] for node_id, entry in answer.json()["node_errors"].items()
    }


def test_a_choice_is_checked_in_both_forms_of_declaration(comfy):
    graph = plain_graph()
    graph["3"]["inputs"]["crop"] = "left"
    assert problems(comfy, graph) == {"3": ["value_not_in_list"]}
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": plain_graph()["1"]["inputs"]},
        "2": {
            "class_type": "ImageScaleToTotalPixels",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "worst",
                "megapixels": 0.1,
                "resolution_steps": 1,
            },
        },
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    answer = post(comfy.url, {"prompt": graph}).json()
    (error,) = answer["node_errors"]["2"]["errors"]
    assert error["details"].startswith("upscale_method: 'worst' not in ['nearest-exact', ")
    assert error["extra_info"]["input_config"][0] == "COMBO"


def test_a_long_list_of_choices_is_not_repeated(comfy):
    graph = text_to_image()
    graph["3"]["inputs"]["sampler_name"] = "none"
    answer = post(comfy.url, {"prompt": graph}).json()
    (error,) = answer["node_errors"]["3"]["errors"]
    count = len(
        requests.get(f"{comfy.url}/object_info/KSampler", timeout=20).json()["KSampler"]["input"]["required"][
            "sampler_name"
        ][0]
    )
    assert count > 20
    assert error["details"] == f"sampler_name: 'none' not in (list of length {count})"
    assert error["extra_info"]["input_config"] is None


def test_values_are_converted_in_place_and_wrapped_lists_are_literals(comfy):
    graph = plain_graph(color=5)
    graph["3"]["inputs"]["width"] = "128"
    graph["4"]["inputs"]["filename_prefix"] = {"__value__": ["a", "b"]}
    entry = run(comfy.url, graph)
    assert entry["prompt"][2]["3"]["inputs"]["width"] == 128
    assert entry["prompt"][2]["4"]["inputs"]["filename_prefix"] == "['a', 'b']"
    assert entry["status"]["completed"]


def test_unneeded_nodes_may_be_wrong_but_not_unknown(comfy):
    graph = plain_graph(color=6)
    graph["99"] = {"class_type": "ImageInvert", "inputs": {"image": ["404", 0]}}
    graph["98"] = {"class_type": "ImageInvert"}
    assert run(comfy.url, graph)["status"]["completed"]
    graph["99"]["class_type"] = "NoSuchNode"
    assert post(comfy.url, {"prompt": graph}).json()["error"]["type"] == "invalid_prompt"


def test_every_failing_output_is_named_as_dependent(comfy):
    graph = plain_graph()
    graph["1"]["inputs"]["width"] = 0
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    answer = post(comfy.url, {"prompt": graph}).json()
    assert answer["node_errors"]["1"]["dependent_outputs"] == ["4", "5"]


def test_dynamic_inputs_are_known_by_their_dotted_names(comfy):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": plain_graph()["1"]["inputs"]},
        "2": {
            "class_type": "BatchImagesNode",
            "inputs": {"images.image0": ["1", 0], "images.image1": ["1", 0]},
        },
        "3": {
            "class_type": "ResizeImageMaskNode",
            "inputs": {
                "input": ["2", 0],
                "resize_type": "scale dimensions",
                "resize_type.width": 32,
                "resize_type.height": 16,
                "resize_type.crop": "disabled",
                "scale_method": "area",
            },
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "dynamic"}},
    }
    assert len(run(comfy.url, graph)["outputs"]["4"]["images"]) == 2
    graph["3"]["inputs"]["resize_type.width"] = -1
    del graph["3"]["inputs"]["resize_type.height"]
    assert problems(comfy, graph) == {"3": ["value_smaller_than_min", "required_input_missing"]}


def test_without_choices_no_model_file_exists():
    with Simulator() as bare:
        assert problems(bare, text_to_image()) == {"4": ["value_not_in_list"]}
