"""What the workflows of Flux, Qwen-Image, Z-Image, Wan 2.2, LTX-Video and ACE-Step promise their callers."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.media import picture
from support.runners import asked, runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import ComfyUI
from engine.errors import InvalidPayload
from engine.nodes import load_catalogue
from engine.simulator import Simulator
from engine.simulator.classes import choices_from

CATALOG = Catalog([ROOT])
PICTURE = f"data:image/png;base64,{base64.b64encode(picture((300, 200))).decode()}"
TALL = f"data:image/png;base64,{base64.b64encode(picture((80, 400))).decode()}"
WAN = ("wan22_t2v", "wan22_i2v")
BATCHES = ("flux_schnell", "flux_dev_fp8", "z_image_turbo")
PROMPT = {"prompt": "a lighthouse", "seed": 7}


def rendered(name, **payload):
    """The graph of a payload."""
    workflow = CATALOG[name]
    given = {"image": PICTURE} if workflow.parameters.get("image") and workflow.parameters["image"].required else {}
    return workflow.render(workflow.validate({**PROMPT, **given, **payload}))


def of_class(graph, class_type):
    """The inputs of the nodes of a class, in the order of the template."""
    return [node["inputs"] for node in graph.values() if node["class_type"] == class_type]


def behind(graph, inputs, name):
    """The class of the node that an input is linked to, and its inputs."""
    node = graph[inputs[name][0]]
    return node["class_type"], node["inputs"]


def refusal(name, **payload):
    """What is said of a payload that is refused, products written with an x."""
    with pytest.raises(InvalidPayload) as caught:
        rendered(name, **payload)
    return str(caught.value).replace("\N{MULTIPLICATION SIGN}", "x")


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """Runs the workflows on a simulator that has the files which they name."""
    choices = choices_from([CATALOG[name].template for name in CATALOG], load_catalogue())
    with Simulator(choices=choices, step_seconds=0) as simulator, ComfyUI(simulator.url) as comfy:
        yield runner_on(comfy, tmp_path_factory.mktemp("results"), CATALOG)


def made(runner, name, **payload):
    """The only output of a job."""
    [output] = asked(runner, {"workflow": name, "payload": {**PROMPT, **payload}})["outputs"]
    return output


@pytest.mark.parametrize(
    ("payload", "steps", "cfg"),
    [
        ({}, 20, 4),
        ({"fast": True}, 8, 1),
        ({"fast": True, "steps": 12}, 12, 1),
        ({"fast": True, "cfg_scale": 2.5}, 8, 2.5),
        ({"steps": 50, "cfg_scale": 3}, 50, 3),
    ],
)
def test_qwen_image_is_fast_where_asked_to_and_what_is_sent_wins(payload, steps, cfg):
    graph = rendered("qwen_image", **payload)
    [sampler] = of_class(graph, "KSampler")
    assert (sampler["steps"], sampler["cfg"]) == (steps, cfg)
    assert len(of_class(graph, "LoraLoaderModelOnly")) == payload.get("fast", False)


@pytest.mark.parametrize("name", WAN)
@pytest.mark.parametrize(
    ("payload", "steps", "cfg"),
    [({}, 20, 3.5), ({"fast": True}, 4, 1), ({"fast": True, "steps": 6, "cfg_scale": 1.5}, 6, 1.5)],
)
def test_wan_is_fast_where_asked_to_and_what_is_sent_wins(name, payload, steps, cfg):
    graph = rendered(name, **payload)
    samplers = of_class(graph, "KSamplerAdvanced")
    assert [(each["steps"], each["cfg"]) for each in samplers] == [(steps, cfg)] * 2
    assert len(of_class(graph, "LoraLoaderModelOnly")) == (2 if payload.get("fast") else 0)


@pytest.mark.parametrize("name", WAN)
@given(steps=st.integers(2, 40))
def test_the_second_model_of_wan_goes_on_where_the_first_one_stops(name, steps):
    graph = rendered(name, steps=steps)
    first, second = of_class(graph, "KSamplerAdvanced")
    assert 0 == first["start_at_step"] < first["end_at_step"] == second["start_at_step"] < steps
    assert behind(graph, second, "latent_image") == ("KSamplerAdvanced", first)


@pytest.mark.parametrize("name", WAN)
def test_each_model_of_wan_has_the_fast_lora_that_was_made_for_it(name):
    graph = rendered(name, fast=True)
    for sampler, noise in zip(of_class(graph, "KSamplerAdvanced"), ("high", "low"), strict=True):
        class_type, lora = behind(graph, behind(graph, sampler, "model")[1], "model")
        assert class_type == "LoraLoaderModelOnly"
        assert f"{noise}_noise" in lora["lora_name"]
        assert f"{noise}_noise" in behind(graph, lora, "model")[1]["unet_name"]


@pytest.mark.parametrize(
    ("name", "length", "said"),
    [
        *((name, 80, "length is a multiple of 4, plus 1: 49, 81 or 121") for name in WAN),
        ("ltx_video", 96, "length is a multiple of 8, plus 1: 49, 97 or 121"),
        ("ltx_video", 101, "length is a multiple of 8, plus 1: 49, 97 or 121"),
    ],
)
def test_a_length_that_the_model_does_not_know_is_refused_in_words(name, length, said):
    assert said in refusal(name, length=length)


@pytest.mark.parametrize(
    ("name", "payload", "said"),
    [
        *((name, {"width": 2048, "height": 2048, "batch_size": 3}, "8 x 1024 x 1024") for name in BATCHES),
        ("qwen_image", {"width": 2048, "height": 2048, "batch_size": 2}, "4 x 1328 x 1328"),
        ("flux_kontext", {"width": 2048, "height": 2048}, "2 x 1024 x 1024"),
        *((name, {"width": 1280, "height": 1280, "length": 81}, "1280 x 720 x 81") for name in WAN),
        ("wan22_i2v", {"megapixels": 0.87, "length": 121}, "1280 x 720 x 81"),
        ("ltx_video", {"width": 1280, "height": 704, "length": 257}, "1280 x 704 x 121"),
        ("ltx_video", {"image": PICTURE, "megapixels": 0.92, "length": 257}, "1280 x 704 x 121"),
    ],
)
def test_a_payload_that_would_take_the_gpu_for_long_is_refused(name, payload, said):
    assert f"at most {said}" in refusal(name, **payload)


@pytest.mark.parametrize("name", ["flux_kontext", "wan22_i2v", "ltx_video"])
def test_a_width_without_a_height_is_refused(name):
    assert "send both width and height, or neither" in refusal(name, width=512)


@pytest.mark.parametrize("name", ["flux_kontext", "wan22_i2v", "ltx_video"])
def test_a_picture_too_narrow_for_the_model_is_refused(runner, name):
    workflow = CATALOG[name]
    assert workflow.parameters["image"].aspect_bounds is not None
    with pytest.raises(AssertionError, match="input_rejected"):
        made(runner, name, image=TALL)


def test_kontext_refers_to_as_many_pictures_as_are_sent():
    one, two = rendered("flux_kontext"), rendered("flux_kontext", image_2=PICTURE)
    assert [len(of_class(graph, "ReferenceLatent")) for graph in (one, two)] == [1, 2]
    assert [len(of_class(graph, "LoadImage")) for graph in (one, two)] == [1, 2]


def test_kontext_keeps_the_shape_of_the_first_picture_unless_it_is_told_another(runner):
    kept = made(runner, "flux_kontext", image=PICTURE, image_2=PICTURE)
    told = made(runner, "flux_kontext", image=PICTURE, width=512, height=256)
    assert (told["width"], told["height"]) == (512, 256)
    assert kept["width"] > kept["height"]


@pytest.mark.parametrize(("name", "step"), [("wan22_i2v", 16), ("ltx_video", 32)])
def test_a_video_of_a_picture_has_its_shape_and_fits_the_model(runner, name, step):
    kept = made(runner, name, image=PICTURE, megapixels=0.1, length=9, steps=2)
    told = made(runner, name, image=PICTURE, width=256, height=512, length=9, steps=2)
    assert (told["width"], told["height"]) == (256, 512)
    assert kept["width"] % step == kept["height"] % step == 0
    assert kept["width"] / kept["height"] == pytest.approx(300 / 200, rel=0.12)


def test_ltx_video_begins_with_a_picture_or_with_words_alone():
    without, with_picture = rendered("ltx_video"), rendered("ltx_video", image=PICTURE)
    for graph, latent in ((without, "EmptyLTXVLatentVideo"), (with_picture, "LTXVImgToVideo")):
        [sampler], [scheduler] = of_class(graph, "SamplerCustom"), of_class(graph, "LTXVScheduler")
        assert behind(graph, sampler, "latent_image")[0] == behind(graph, scheduler, "latent")[0] == latent
    assert not of_class(without, "LoadImage")
    [empty] = of_class(without, "EmptyLTXVLatentVideo")
    assert (empty["width"], empty["height"]) == (768, 512)


@pytest.mark.parametrize(
    ("name", "length", "fps", "seconds"), [("wan22_t2v", 17, 8, 2.125), ("ltx_video", 17, 10, 1.7)]
)
def test_a_video_is_as_long_as_its_frames_at_its_rate(runner, name, length, fps, seconds):
    output = made(runner, name, length=length, fps=fps, width=256, height=256, steps=2)
    assert (output["kind"], output["content_type"]) == ("video", "video/mp4")
    assert output["duration_seconds"] == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    ("name", "loader"),
    [("flux_dev_fp8", "LoraLoader"), ("qwen_image", "LoraLoaderModelOnly"), ("z_image_turbo", "LoraLoaderModelOnly")],
)
def test_loras_are_put_on_in_the_order_sent_and_none_is_needed(name, loader):
    sent = [{"name": f"{letter}.safetensors", "strength": 0.5} for letter in "cab"]
    graph = rendered(name, loras=sent)
    found, (class_type, inputs) = [], behind(graph, of_class(graph, "KSampler")[0], "model")
    while "model" in inputs:
        if class_type == loader:
            found.append({"name": inputs["lora_name"], "strength": inputs["strength_model"]})
        class_type, inputs = behind(graph, inputs, "model")
    assert found[::-1] == sent
    assert not of_class(rendered(name), loader)


def test_qwen_image_runs_without_its_loras_where_they_are_not_asked_for(tmp_path):
    files = {
        "UNETLoader.unet_name": ["qwen_image_fp8_e4m3fn.safetensors"],
        "CLIPLoader.clip_name": ["qwen_2.5_vl_7b_fp8_scaled.safetensors"],
        "VAELoader.vae_name": ["qwen_image_vae.safetensors"],
    }
    with Simulator(choices=files, step_seconds=0) as simulator, ComfyUI(simulator.url) as comfy:
        runner = runner_on(comfy, tmp_path, CATALOG)
        assert made(runner, "qwen_image", width=256, height=256)["kind"] == "image"
        with pytest.raises(AssertionError, match="Lightning"):
            made(runner, "qwen_image", width=256, height=256, fast=True)


@pytest.mark.parametrize("lyrics", ["", "  \n"])
def test_music_without_lyrics_is_an_instrumental_piece(lyrics):
    [encoded] = of_class(rendered("audio", lyrics=lyrics), "TextEncodeAceStepAudio")
    assert encoded["lyrics"] == "[instrumental]"


def test_music_is_sung_as_sent_and_as_long_as_asked_for(runner):
    [encoded] = of_class(rendered("audio", lyrics="[verse]\nla"), "TextEncodeAceStepAudio")
    assert (encoded["tags"], encoded["lyrics"]) == ("a lighthouse", "[verse]\nla")
    output = made(runner, "audio", seconds=3.5)
    assert (output["kind"], output["content_type"]) == ("audio", "audio/mpeg")
    assert output["duration_seconds"] == pytest.approx(3.5, abs=0.1)
