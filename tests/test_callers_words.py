"""What a caller is told when ComfyUI refuses the graph or a node fails: parameters, not nodes."""

import io

import pytest
from PIL import Image
from support.graphs import fresh_number, picture, text_to_image
from support.runners import asked, refused, runner_on
from support.workflows import make_workflow, write_workflow

from engine import Catalog
from engine.callers_words import out_of_memory, rejected
from engine.comfyui.complaints import execution_failure, rejection
from engine.errors import OutOfMemory
from engine.nodes import NodeCatalogue


def titled(graph, **titles):
    return {key: {**node, "_meta": {"title": titles.get(f"n{key}", node["class_type"])}} for key, node in graph.items()}


@pytest.fixture
def ask(comfy, tmp_path):
    """Ask for a workflow made of a graph and a map; gives the function that does."""

    def runner(graph, parameter_map):
        folder = write_workflow(tmp_path / "mine", "mine", graph, parameter_map)
        return runner_on(comfy, tmp_path, Catalog([folder]))

    def ask(graph, parameter_map, check, previews=False, **payload):
        request = {"workflow": "mine", "payload": payload, "previews": previews}
        return check(runner(graph, parameter_map), request)

    return ask


IMAGE = {"image": {"node": "4"}}


def problem(failure):
    [found] = failure["problems"]
    return found["parameter"], found["message"]


def test_a_value_that_is_not_available_is_said_under_its_parameter(ask):
    parameters = {"how": {"type": "string", "choices": False, "bind": "$['3'].inputs.upscale_method"}}

    failure = ask(picture(), {"parameters": parameters, "outputs": IMAGE}, refused, how="bicubik")

    assert failure["code"] == "graph_rejected"
    assert problem(failure) == ("how", '"bicubik" is not available; did you mean "bicubic"?')
    assert failure["hint"] == "change these values"


def test_a_list_that_comfyui_finds_too_long_to_tell_is_told(ask, checkpoint):
    parameters = {"sampler_name": {"type": "string", "choices": False, "bind": "$['3'].inputs.sampler_name"}}

    failure = ask(
        text_to_image(checkpoint),
        {"parameters": parameters, "outputs": {"image": {"node": "9"}}},
        refused,
        sampler_name="eular",
    )

    assert problem(failure) == ("sampler_name", '"eular" is not available; did you mean "euler"?')


def test_both_ways_to_refuse_a_model_say_the_same(ask, checkpoint):
    said = []
    for choices in ({}, {"choices": False}):
        parameters = {"ckpt_name": {"type": "string", "bind": "$['4'].inputs.ckpt_name", **choices}}
        failure = ask(
            text_to_image(checkpoint),
            {"parameters": parameters, "outputs": {"image": {"node": "9"}}},
            refused,
            ckpt_name=checkpoint.replace("random", "randon"),
        )
        said.append(problem(failure))

    assert said[0] == said[1]
    assert said[0][0] == "ckpt_name"
    assert f'is not on this worker; did you mean "{checkpoint}"?' in said[0][1]


def test_all_parameters_of_an_expression_are_named(ask):
    parameter_map = {
        "parameters": {"subject": {"type": "string", "required": True}, "season": {"type": "string", "default": "may"}},
        "computed": {"$['1'].inputs.image": "subject ~ '_' ~ season ~ '.png'"},
        "outputs": IMAGE,
    }
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "The backdrop"}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "never"}},
    }

    failure = ask(graph, parameter_map, refused, subject="field")

    assert problem(failure) == (
        "season, subject",
        '"field_may.png" is not on this worker; they decide LoadImage "The backdrop" (1).image',
    )


def test_a_literal_of_the_template_is_the_authors(ask):
    graph = titled(picture(), n3="Half the size")
    graph["3"]["inputs"]["width"] = 10**9

    failure = ask(graph, {"parameters": {}, "outputs": IMAGE}, refused)

    assert failure["code"] == "graph_rejected"
    assert problem(failure) == (
        'ImageScale "Half the size" (3).width',
        "must be at most 16384 (got 1000000000)",
    )
    assert "author" in failure["hint"]


def with_a_second_output(graph):
    return graph | {
        "20": {"class_type": "SaveImage", "inputs": {"images": ["21", 0], "filename_prefix": "bad"}},
        "21": {"class_type": "LoadImage", "inputs": {"image": "nope.png"}},
    }


def test_a_declared_output_that_comfyui_left_out_fails_the_job_and_frees_the_queue(ask, comfy):
    graph = with_a_second_output(picture())
    for outputs in ({**IMAGE, "other": {"node": "20"}}, {}):
        failure = ask(graph, {"parameters": {}, "outputs": outputs}, refused)

        assert failure["code"] == "graph_rejected"
        assert problem(failure) == ("LoadImage (21).image", '"nope.png" is not on this worker')
    assert comfy.client.queue() == (frozenset(), frozenset())


def test_a_preview_that_comfyui_left_out_is_a_warning(ask):
    graph = with_a_second_output(picture())
    graph["20"] = {"class_type": "PreviewImage", "inputs": {"images": ["21", 0]}}

    result = ask(graph, {"parameters": {}, "outputs": IMAGE}, asked, previews=True)

    assert [each["name"] for each in result["outputs"]] == ["image"]
    assert any('"nope.png" is not on this worker' in warning for warning in result["warnings"])


def test_of_a_whole_graph_what_could_be_made_comes_with_a_warning(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, allow_raw_workflows=True)

    reply = asked(runner, {"workflow": "custom", "payload": with_a_second_output(picture())})

    assert [each["node_id"] for each in reply["outputs"]] == ["4"]
    assert reply["warnings"] == [
        'LoadImage (21).image: "nope.png" is not on this worker (ComfyUI left out SaveImage (20))'
    ]


def test_a_whole_graph_is_told_by_its_nodes_with_what_there_is(comfy, tmp_path, checkpoint):
    runner = runner_on(comfy, tmp_path, allow_raw_workflows=True)
    graph = titled(text_to_image(checkpoint), n3="Second pass")
    graph["3"]["inputs"]["sampler_name"] = "eular"

    failure = refused(runner, {"workflow": graph})

    assert problem(failure) == (
        'KSampler "Second pass" (3).sampler_name',
        '"eular" is not available; did you mean "euler"?',
    )


def test_all_unknown_classes_of_a_graph_are_told(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, allow_raw_workflows=True)
    graph = picture()
    graph["2"] |= {"class_type": "NoSuchNode", "_meta": {"title": "Turn it round"}}
    graph["3"] |= {"class_type": "NorThis"}

    failure = refused(runner, {"workflow": graph})

    assert {each["message"] for each in failure["problems"]} == {
        'node "Turn it round" (2) is of class NoSuchNode, which this ComfyUI lacks',
        "node 3 is of class NorThis, which this ComfyUI lacks",
    }


def test_a_failing_node_is_one_line_with_its_title(ask, comfy, tmp_path):
    text = tmp_path / "hello.txt"
    text.write_text("hello")
    name = comfy.client.upload(text, filename=f"hello-{fresh_number()}.txt")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}, "_meta": {"title": "The photo"}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "never"}},
    }

    failure = ask(graph, {"parameters": {}, "outputs": IMAGE}, refused)

    assert failure["code"] == "execution_failed"
    assert failure["message"].startswith('LoadImage "The photo" (1) failed: cannot identify image file')
    assert "\n" not in failure["message"]
    assert "/" not in failure["message"]


UNKNOWN = {
    "error": {
        "type": "invalid_prompt",
        "message": "Cannot execute because node IPAdapterAdvanced does not exist.",
        "details": "Node ID '#12'",
    }
}


def test_an_unknown_class_is_told_with_its_pack(tmp_path):
    graph = picture()
    graph["12"] = {"class_type": "IPAdapterAdvanced", "inputs": {}, "_meta": {"title": "IPAdapter"}}
    workflow = make_workflow(
        tmp_path, {"parameters": {}, "outputs": IMAGE, "requires": {"node_packs": ["the-map-says"]}}, graph
    )

    found = rejected(
        rejection(UNKNOWN, graph),
        graph,
        workflow=workflow,
        nodes=NodeCatalogue({"EmptyImage": {}, "ImageInvert": {}, "ImageScale": {}}),
        packs={"IPAdapterAdvanced": "ComfyUI_IPAdapter_plus"},
    )

    assert [str(each) for each in found.problems] == [
        'node "IPAdapter" (12) is of class IPAdapterAdvanced, which this ComfyUI lacks; '
        "it comes with ComfyUI_IPAdapter_plus",
        "node 4 is of class SaveImage, which this ComfyUI lacks",
    ]
    assert "the-map-says" in found.hint


def test_who_ran_out_of_memory_is_told_what_to_lower(tmp_path):
    parameters = {
        "width": {"type": "integer", "bind": "$['1'].inputs.width"},
        "num_frames": {"type": "integer", "bind": "$['1'].inputs.batch_size"},
        "shade": {"type": "integer", "bind": "$['1'].inputs.color"},
    }
    workflow = make_workflow(tmp_path, {"parameters": parameters, "outputs": IMAGE}, picture())
    error = execution_failure({"node_id": "1", "node_type": "EmptyImage", "exception_type": "MemoryError"})

    found = out_of_memory(error, workflow)

    assert isinstance(found, OutOfMemory)
    assert (found.message, found.retryable, found.detail) == (error.message, True, error.detail)
    assert found.hint == "ask for less: lower width, num_frames; or use a larger GPU"


def test_samplers_pictures_come_to_those_who_ask(comfy, tmp_path, checkpoint):
    runner = runner_on(comfy, tmp_path, allow_raw_workflows=True)
    if str(comfy.system_stats()["system"].get("comfyui_version", "")).startswith("0.3."):
        pytest.skip("this ComfyUI sends previews only if it is started to: --preview-method auto")
    seen = {True: [], False: []}
    for wanted, heard in seen.items():
        graph = titled(text_to_image(checkpoint, steps=3), n3="Second pass")
        request = {"workflow": graph, "previews": wanted}
        asked(runner, request, on_progress=heard.append)

    shown = [each for each in seen[True] if each.preview is not None]
    assert shown
    assert {(each.node_id, each.node_title) for each in shown} == {("3", "Second pass")}
    with Image.open(io.BytesIO(shown[0].preview)) as small:
        assert small.format == "JPEG"
        assert max(small.size) <= 256
    assert all(each.preview is None for each in seen[False])
