"""Workflows with operators on ComfyUI: accepted with every switch on and off, and run."""

import base64
import contextlib
import itertools

import pytest
from support.graphs import fresh_number
from support.graphs import picture as plain_picture
from support.media import picture
from support.operator_workflows import everything_graph, everything_map, loras
from support.runners import runner_on
from support.workflows import write_workflow

from engine import Catalog
from engine.comfyui import new_prompt_id
from engine.errors import ExecutionFailed, GraphRejected
from engine.job import Job

PICTURE = f"data:image/png;base64,{base64.b64encode(picture((64, 64))).decode()}"
TEXT = {"type": "string", "pattern": "^[a-z0-9]+$"}
SMALL = {"prompt": "a harbour", "steps": 2, "width": 64, "height": 64}


@pytest.fixture
def runner(comfy, tmp_path):
    folder = write_workflow(tmp_path / "workflows", "everything", everything_graph(), everything_map())
    return runner_on(comfy, tmp_path, Catalog([folder]))


def finished(runner, checkpoint, on_progress=None, **payload):
    payload = {**SMALL, "ckpt_name": checkpoint, "seed": 7, **payload}
    job = Job(id="j1", workflow="everything", payload=payload, prompt_id=new_prompt_id())
    return runner.run(job, on_progress=on_progress)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_chain_of_loras_runs_and_is_told_of_as_one_node(runner, checkpoint, lora_names, count):
    told = []
    result = finished(runner, checkpoint, told.append, loras=loras(count))
    assert [(output.file.name, output.file.node_id) for output in result.outputs] == [("image", "9")]
    assert [each["name"] for each in result.values["loras"]] == [lora_names[index % 2] for index in range(count)]
    nodes = {progress.node_id for progress in told} - {None}
    assert nodes <= everything_graph().keys()
    assert ("10" in nodes) == (count > 0)


def test_a_chain_of_loras_changes_the_picture(runner, checkpoint, lora_names):
    pictures = {finished(runner, checkpoint, loras=loras(count)).outputs[0].file.sha256 for count in (0, 1, 3)}
    assert len(pictures) == 3


@pytest.mark.parametrize("begin_with", [False, True])
def test_an_optional_image_runs_with_and_without(runner, checkpoint, begin_with):
    image = {"image": PICTURE, "width": 128} if begin_with else {"width": 128}
    file = finished(runner, checkpoint, **image).outputs[0].file
    assert file.width == (64 if begin_with else 128)  # that of the image, which is 64 wide


@pytest.mark.parametrize(("scale", "width"), [(1, 64), (2, 128)])
def test_an_optional_upscale_runs_with_and_without(runner, checkpoint, scale, width):
    assert finished(runner, checkpoint, upscale=scale).outputs[0].file.width == width


@pytest.mark.parametrize(("control", "upscale", "begin_with"), list(itertools.product([False, True], repeat=3)))
def test_comfyui_accepts_the_graph_with_every_switch_on_and_off(
    runner, checkpoint, lora_names, control, upscale, begin_with
):
    payload = {"steps": 1, "loras": loras(2 if control else 0), "upscale": 2 if upscale else 1}
    payload |= {"control_image": PICTURE} if control else {}
    payload |= {"image": PICTURE} if begin_with else {}
    # A real ComfyUI takes the graph, and finds only when it runs that the file of the ControlNet is empty.
    with contextlib.suppress(ExecutionFailed) if control else contextlib.nullcontext():
        assert finished(runner, checkpoint, **payload).outputs[0].file.width == (128 if upscale else 64)


def test_a_complaint_about_a_copy_names_the_item(comfy, checkpoint, lora_names, tmp_path):
    document = everything_map()
    document["parameters"]["loras"]["items"]["properties"]["name"]["choices"] = (
        False  # so that ComfyUI has to refuse it
    )
    folder = write_workflow(tmp_path / "workflows", "everything", everything_graph(), document)
    unknown = [*loras(1), {"name": "no_such_lora.safetensors"}]
    with pytest.raises(GraphRejected) as caught:
        finished(runner_on(comfy, tmp_path, Catalog([folder])), checkpoint, loras=unknown)
    assert [problem.where for problem in caught.value.problems] == ["loras[1].name"]


def test_files_of_copies_come_in_the_order_of_their_items(comfy, tmp_path):
    names = [f"{letter}{fresh_number()}" for letter in "cabfde"]
    document = {
        "parameters": {"names": {"type": "array", "required": True, "minItems": 1, "maxItems": 9, "items": TEXT}},
        "repeat": {"4": {"over": "names", "set": {"filename_prefix": "item"}}},
        "outputs": {"picture": {"node": "4", "kind": "image"}},
    }
    folder = write_workflow(tmp_path / "workflows", "copies", plain_picture(), document)
    job = Job(id="j1", workflow="copies", payload={"names": names}, prompt_id=new_prompt_id())
    outputs = runner_on(comfy, tmp_path, Catalog([folder])).run(job).outputs
    assert [output.file.filename.partition("_")[0] for output in outputs] == names
    assert [(output.file.index, output.file.node_id) for output in outputs] == [(index, "4") for index in range(6)]


def test_a_row_that_begins_with_an_empty_input_runs(comfy, tmp_path, checkpoint, lora_names):
    graph, document = everything_graph(), everything_map()
    graph["50"] = {
        "class_type": "CreateHookLora",
        "inputs": {"lora_name": lora_names[0], "strength_model": 1.0, "strength_clip": 1.0},
    }
    graph["51"] = {
        "class_type": "SetClipHooks",
        "inputs": {"clip": ["10", 1], "apply_to_conds": True, "schedule_clip": False, "hooks": ["50", 0]},
    }
    graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["51", 0]
    repeat = {"over": "loras", "set": {"lora_name": "item.name", "strength_model": "item.strength * 10"}}
    document["repeat"] = {"50": repeat}
    folder = write_workflow(tmp_path / "workflows", "everything", graph, document)
    runner = runner_on(comfy, tmp_path, Catalog([folder]))
    one, other = loras(2)
    chains = ([], [one, other], [{**one, "strength": 2}, other])
    assert len({finished(runner, checkpoint, loras=chain).outputs[0].file.sha256 for chain in chains}) == 3
