"""What the workflows for pictures promise, on ComfyUI: sizes, what stays as it was, what is not needed."""

import base64
import io

import pytest
from PIL import Image, ImageChops, ImageDraw
from support.operator_workflows import CONTROL_NET, loras
from support.runners import asked, refused, runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import ComfyUI
from engine.simulator import Simulator

FEW = {"prompt": "a harbour", "steps": 2, "seed": 7}


@pytest.fixture
def runner(comfy, tmp_path):
    return runner_on(comfy, tmp_path, default="inline")


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def photo(size):
    """A picture in which no two neighbours are alike."""
    image = Image.new("RGB", size)
    image.putdata([(x * 7 % 256, y * 5 % 256, (x * 3 + y * 11) % 256) for y in range(size[1]) for x in range(size[0])])
    return image


def white(size, box):
    """A mask: black, but for a box."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return mask


def result(runner, workflow, **payload):
    reply = asked(runner, {"workflow": workflow, "payload": payload})
    (output,) = reply["outputs"]
    with Image.open(io.BytesIO(base64.b64decode(output["base64"]))) as picture:
        return picture.convert("RGB")


def changed(before, after, box=None):
    """The box of the pixels that differ, None where none does."""
    return ImageChops.difference(before.crop(box), after.crop(box)).getbbox()


@pytest.mark.parametrize(("size", "grow"), [((96, 80), 12), ((101, 83), 12), ((101, 83), 0), ((96, 83), 1)])
def test_inpaint_draws_what_is_masked_and_leaves_the_rest(runner, checkpoint, size, grow):
    before, box = photo(size), (32, 24, 55, 47)
    after = result(
        runner,
        "inpaint",
        **FEW,
        image=encoded(before),
        mask=encoded(white(size, box)),
        grow_mask_by=grow,
        ckpt_name=checkpoint,
    )
    assert after.size == size
    left, top, right, bottom = changed(before, after)
    assert 32 - grow <= left <= 34
    assert 24 - grow <= top <= 26
    assert 54 <= right <= 56 + grow
    assert 46 <= bottom <= 48 + grow


def test_inpaint_stretches_a_mask_of_another_size_over_the_picture(runner, checkpoint):
    before = photo((128, 64))
    half = encoded(white((32, 32), (16, 0, 31, 31)))  # its right half
    after = result(runner, "inpaint", **FEW, image=encoded(before), mask=half, grow_mask_by=0, ckpt_name=checkpoint)
    assert changed(before, after, (0, 0, 60, 64)) is None
    assert changed(before, after, (68, 0, 128, 64)) == (0, 0, 60, 64)


def test_inpaint_without_anything_masked_gives_the_picture_back(runner, checkpoint):
    before = photo((64, 64))
    after = result(
        runner, "inpaint", **FEW, image=encoded(before), mask=encoded(Image.new("L", (8, 8))), ckpt_name=checkpoint
    )
    assert changed(before, after) is None


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((64, 48), {"right": 32}),
        ((67, 53), {"left": 16, "top": 24}),
        ((67, 53), {"left": 8, "top": 16, "right": 24, "bottom": 32}),
    ],
)
def test_outpaint_adds_what_was_asked_for_around_the_picture(runner, checkpoint, size, sides):
    before, feathering = photo(size), 8
    after = result(
        runner, "outpaint", **FEW, **sides, image=encoded(before), feathering=feathering, ckpt_name=checkpoint
    )
    left, top, right, bottom = (sides.get(side, 0) for side in ("left", "top", "right", "bottom"))
    assert after.size == (size[0] + left + right, size[1] + top + bottom)
    inside = tuple(
        edge + feathering * sign * bool(added)
        for edge, sign, added in zip((0, 0, *size), (1, 1, -1, -1), (left, top, right, bottom), strict=True)
    )
    kept = after.crop((left, top, left + size[0], top + size[1]))
    assert changed(before, kept, inside) is None


@pytest.mark.parametrize("sides", [{}, {"left": 512, "right": 512, "top": 8}])
def test_outpaint_refuses_no_side_and_too_much(runner, sides):
    payload = {**FEW, **sides, "image": encoded(photo((64, 48)))}
    failure = refused(runner, {"workflow": "outpaint", "payload": payload})
    assert failure["code"] == "invalid_payload"
    assert "left, top, right and bottom" in failure["message"]


@pytest.mark.parametrize(("scale", "size"), [({}, (132, 92)), ({"scale": 1}, (33, 23)), ({"scale": 2.5}, (82, 58))])
def test_upscale_model_gives_the_size_that_was_asked_for_or_the_models_own(runner, upscaler, scale, size):
    assert result(runner, "upscale_model", image=encoded(photo((33, 23))), upscale_model=upscaler, **scale).size == size


@pytest.mark.parametrize(("scale", "size"), [({}, (128, 192)), ({"scale": 1}, (64, 96)), ({"scale": 1.6}, (104, 152))])
def test_upscale_latent_draws_larger_in_its_second_pass(runner, checkpoint, scale, size):
    assert result(runner, "upscale_latent", **FEW, **scale, width=64, height=96, ckpt_name=checkpoint).size == size


def test_upscale_latent_refuses_what_no_card_takes(runner):
    payload = {**FEW, "width": 1024, "height": 512, "scale": 2.5}
    failure = refused(runner, {"workflow": "upscale_latent", "payload": payload})
    assert failure["problems"][0]["message"] == "width and height times scale are at most 2048"


@pytest.mark.comfyui
def test_loras_change_the_picture(runner, checkpoint, lora_names):
    small = {**FEW, "width": 64, "height": 64, "ckpt_name": checkpoint}
    pictures = [result(runner, "txt2img_lora", **small, loras=loras(count)) for count in (0, 1, 5)]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_without_a_picture_to_follow_no_control_net_is_needed(runner, checkpoint):
    payload = {**FEW, "width": 64, "height": 64, "ckpt_name": checkpoint, "kind": "depth"}
    assert result(runner, "controlnet", **payload).size == (64, 64)
    payload["control_image"] = encoded(photo((64, 64)))
    failure = refused(runner, {"workflow": "controlnet", "payload": payload})
    assert "control_v11f1p_sd15_depth_fp16.safetensors" in failure["message"]


@pytest.mark.parametrize("kind", ["canny", "depth", "openpose", "scribble"])
def test_a_kind_decides_the_control_net_and_whether_edges_are_looked_for(kind):
    workflow = Catalog([ROOT])["controlnet"]
    graph = workflow.render(workflow.validate({"prompt": "a harbour", "control_image": "edges.png", "kind": kind}))
    classes = {node["class_type"]: node["inputs"] for node in graph.values()}
    name = classes["ControlNetLoader"]["control_net_name"]
    assert f"_{kind}_" in name
    assert f"controlnet/{name}" in {model.path for model in workflow.requires.models}
    assert ("Canny" in classes) == (kind == "canny")


def test_a_control_net_of_ones_own_takes_the_place_of_the_kinds():
    workflow = Catalog([ROOT])["controlnet"]
    payload = {"prompt": "a harbour", "control_image": "edges.png", "control_net_name": CONTROL_NET}
    graph = workflow.render(workflow.validate(payload))
    assert [node["inputs"]["control_net_name"] for node in graph.values() if "control_net_name" in node["inputs"]] == [
        CONTROL_NET
    ]


def test_sdxl_needs_its_refiner_only_where_it_is_on(tmp_path):
    base = "sd_xl_base_1.0.safetensors"
    small = {**FEW, "steps": 10, "width": 256, "height": 256}
    choices = {"CheckpointLoaderSimple.ckpt_name": [base]}
    with Simulator(choices=choices) as simulator, ComfyUI(simulator.url) as comfy:
        runner = runner_on(comfy, tmp_path, default="inline")
        assert result(runner, "sdxl", **small).size == (256, 256)
        failure = refused(runner, {"workflow": "sdxl", "payload": {**small, "refiner": True}})
    assert "sd_xl_refiner_1.0.safetensors" in failure["message"]


@pytest.mark.parametrize(("steps", "share", "step"), [(25, 0.8, 20), (30, 0.55, 17), (4, 0.5, 2)])
def test_sdxl_hands_over_to_its_refiner_at_one_step(steps, share, step):
    workflow = Catalog([ROOT])["sdxl"]
    payload = {"prompt": "a harbour", "refiner": True, "steps": steps, "refiner_start": share}
    graph = workflow.render(workflow.validate(payload))
    base, refiner = graph["3"]["inputs"], graph["11"]["inputs"]
    assert (base["end_at_step"], base["return_with_leftover_noise"]) == (step, "enable")
    assert (refiner["start_at_step"], refiner["add_noise"]) == (step, "disable")
    assert base["steps"] == refiner["steps"] == steps
