"""Running graphs: files are really written, pictures really made, and what is simulated says so."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image, ImageChops
from support.minimal_graphs import minimal_graph
from support.simulator import ROOT, Listener, plain_graph, run, text_to_image, view

from engine.nodes import load_catalogue
from engine.simulator import Call, Outcome, Simulator, choices_from
from engine.simulator.drawing import picture

CHOICES = {
    "CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"],
    "UpscaleModelLoader.model_name": ["2x_soft.pth"],
    "UNETLoader.unet_name": ["flux.safetensors"],
    "DualCLIPLoader.clip_name1": ["t5.safetensors", "l.safetensors"],
    "VAELoader.vae_name": ["ae.safetensors"],
}


@pytest.fixture(scope="module")
def shared_comfy():
    with Simulator(choices=CHOICES) as comfy:
        yield comfy


@pytest.fixture
def comfy():
    with Simulator(choices=CHOICES) as comfy:
        yield comfy


def pictures(comfy: Simulator, entry: dict[str, Any], node_id: str) -> list[Image.Image]:
    return [Image.open(BytesIO(view(comfy.url, image).content)) for image in entry["outputs"][node_id]["images"]]


def bytes_of(comfy: Simulator, graph: dict[str, Any], node_id: str = "9") -> list[bytes]:
    entry = run(comfy.url, graph)
    return [image.tobytes() for image in pictures(comfy, entry, node_id)]


def empty(width: int, height: int, batch_size: int = 1, color: int = 0x123456) -> dict[str, Any]:
    inputs = {"width": width, "height": height, "batch_size": batch_size, "color": color}
    return {"class_type": "EmptyImage", "inputs": inputs}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": {name.replace("__", "."): v for name, v in inputs.items()}}


def preview(source: str, slot: int = 0) -> dict[str, Any]:
    return node("PreviewImage", images=[source, slot])


def test_the_plain_graph_inverts_and_scales(comfy):
    entry = run(comfy.url, plain_graph(), extra_data={"extra_pnginfo": {"workflow": {"hello": 1}}})
    (image,) = pictures(comfy, entry, "4")
    assert (image.size, image.mode) == ((256, 256), "RGB")
    assert image.getpixel((10, 10)) == (0xEE, 0xDD, 0xCC)
    assert json.loads(image.text["prompt"]) == plain_graph()
    assert json.loads(image.text["workflow"]) == {"hello": 1}
    assert (comfy.folders.output / "plain_00001_.png").is_file()


# Sizes that a real ComfyUI 0.8.0 gave.
@pytest.mark.parametrize(
    ("given", "inputs", "expected"),
    [
        ((100, 61), {"width": 0, "height": 31, "crop": "disabled"}, (51, 31)),
        ((100, 61), {"width": 31, "height": 0, "crop": "center"}, (31, 19)),
        ((100, 61), {"width": 0, "height": 0, "crop": "disabled"}, (100, 61)),
        ((100, 61), {"width": 33, "height": 44, "crop": "center"}, (33, 44)),
        ((1, 150), {"width": 0, "height": 7, "crop": "disabled"}, (1, 7)),
    ],
)
@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_image_scale_gives_the_sizes_of_the_real_one(shared_comfy, given, inputs, expected, method):
    graph = {
        "1": empty(*given),
        "2": node("ImageScale", image=["1", 0], upscale_method=method, **inputs),
        "9": preview("2"),
    }
    (image,) = pictures(shared_comfy, run(shared_comfy.url, graph), "9")
    assert image.size == expected


# Sizes that a real ComfyUI 0.8.0 gave for a picture of 100 x 61.
@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("scale dimensions", {"width": 33, "height": 44, "crop": "center"}, (33, 44)),
        ("scale by multiplier", {"multiplier": 1.5}, (150, 92)),
        ("scale longer dimension", {"longer_size": 64}, (64, 39)),
        ("scale shorter dimension", {"shorter_size": 64}, (105, 64)),
        ("scale width", {"width": 31}, (31, 19)),
        ("scale height", {"height": 31}, (51, 31)),
        ("scale total pixels", {"megapixels": 0.05}, (293, 179)),
        ("match size", {"match": ["7", 0], "crop": "disabled"}, (13, 17)),
    ],
)
def test_resize_gives_the_sizes_of_the_real_one(shared_comfy, kind, inputs, expected):
    below = {f"resize_type.{name}": value for name, value in inputs.items()}
    graph = {
        "1": empty(100, 61),
        "7": empty(13, 17),
        "2": node("ResizeImageMaskNode", input=["1", 0], resize_type=kind, scale_method="area", **below),
        "9": preview("2"),
    }
    (image,) = pictures(shared_comfy, run(shared_comfy.url, graph), "9")
    assert image.size == expected


def test_center_crop_cuts_what_sticks_out(comfy):
    canvas = Image.new("RGB", (90, 30), "red")
    canvas.paste("blue", (30, 0, 60, 30))
    canvas.save(comfy.folders.input / "flag.png")
    graph = {
        "1": node("LoadImage", image="flag.png"),
        "2": node("ImageScale", image=["1", 0], upscale_method="nearest-exact", width=15, height=15, crop="center"),
        "9": preview("2"),
    }
    (image,) = pictures(comfy, run(comfy.url, graph), "9")
    assert image.getcolors() == [(225, (0, 0, 255))]


def test_an_alpha_channel_becomes_a_mask(comfy):
    half = Image.new("RGBA", (20, 10), (10, 20, 30, 255))
    half.paste((10, 20, 30, 0), (0, 0, 10, 10))
    half.save(comfy.folders.input / "half.png")
    Image.new("RGB", (20, 10), "red").save(comfy.folders.input / "opaque.png")
    graph = {
        "1": node("LoadImage", image="half.png"),
        "2": node("MaskToImage", mask=["1", 1]),
        "3": node("LoadImage", image="opaque.png"),
        "4": node("MaskToImage", mask=["3", 1]),
        "7": preview("1"),
        "8": preview("2"),
        "9": preview("4"),
    }
    entry = run(comfy.url, graph)
    (picture_of,) = pictures(comfy, entry, "7")
    (mask,) = pictures(comfy, entry, "8")
    (none,) = pictures(comfy, entry, "9")
    assert picture_of.getpixel((0, 0)) == (10, 20, 30)
    assert (mask.getpixel((2, 2)), mask.getpixel((15, 2))) == ((255,) * 3, (0,) * 3)
    assert (none.size, none.getcolors()) == ((64, 64), [(64 * 64, (0, 0, 0))])


def test_batches_take_the_first_ones_size_and_make_several_files(comfy):
    graph = {
        "1": empty(30, 20, 2, 0xFF0000),
        "2": empty(77, 11, 1, 0x00FF00),
        "3": node("ImageBatch", image1=["1", 0], image2=["2", 0]),
        "9": node("SaveImage", images=["3", 0], filename_prefix="batch"),
    }
    entry = run(comfy.url, graph)
    names = [image["filename"] for image in entry["outputs"]["9"]["images"]]
    assert names == ["batch_00001_.png", "batch_00002_.png", "batch_00003_.png"]
    images = pictures(comfy, entry, "9")
    assert [image.size for image in images] == [(30, 20)] * 3
    assert [image.getpixel((5, 5)) for image in images] == [(255, 0, 0), (255, 0, 0), (0, 255, 0)]


def test_names_count_on_within_a_prefix_and_subfolder(comfy):
    def saved(prefix: str, color: int) -> dict[str, str]:
        (image,) = run(comfy.url, plain_graph(color, prefix))["outputs"]["4"]["images"]
        return image

    assert saved("a/b/x", 1) == {"filename": "x_00001_.png", "subfolder": "a/b", "type": "output"}
    assert saved("a/b/x", 2)["filename"] == "x_00002_.png"
    assert saved("a/b/xy", 3)["filename"] == "xy_00001_.png"
    assert saved("%width%x%height%", 4)["filename"] == "256x256_00001_.png"
    (comfy.folders.output / "a" / "b" / "x_00041_.png").write_bytes(b"")
    assert saved("a/b/x", 5)["filename"] == "x_00042_.png"


def test_a_prefix_that_leads_out_is_an_error_of_the_node(comfy):
    entry = run(comfy.url, plain_graph(prefix="../../out"))
    kind, data = entry["status"]["messages"][-1]
    assert (kind, data["node_type"], data["exception_type"]) == ("execution_error", "SaveImage", "Exception")
    assert data["exception_message"].startswith("**** ERROR: Saving image outside the output folder")
    assert data["current_inputs"]["filename_prefix"] == ["../../out"]
    assert not list(comfy.folders.output.parent.glob("**/out*.png"))


def test_a_cached_graph_names_the_old_file_even_when_it_is_gone(comfy):
    first = run(comfy.url, plain_graph())
    (comfy.folders.output / "plain_00001_.png").unlink()
    second = run(comfy.url, plain_graph())
    assert second["outputs"] == first["outputs"]
    assert second["status"]["messages"][1][1]["nodes"] == ["1", "2", "3", "4"]
    assert list(comfy.folders.output.iterdir()) == []
    assert view(comfy.url, second["outputs"]["4"]["images"][0]).status_code == 404


def test_only_the_last_prompts_nodes_are_kept(comfy):
    def cached(graph: dict[str, Any]) -> list[str]:
        return run(comfy.url, graph)["status"]["messages"][1][1]["nodes"]

    assert cached(plain_graph(1)) == []
    changed = plain_graph(1)
    changed["3"]["inputs"]["width"] = 99
    assert cached(changed) == ["1", "2"]
    assert cached(text_to_image()) == []
    assert cached(changed) == []


def test_a_file_with_new_content_is_loaded_again(comfy):
    graph = {"1": node("LoadImage", image="photo.png"), "9": preview("1")}
    Image.new("RGB", (5, 5), "red").save(comfy.folders.input / "photo.png")
    assert run(comfy.url, graph)["status"]["messages"][1][1]["nodes"] == []
    assert run(comfy.url, graph)["status"]["messages"][1][1]["nodes"] == ["1", "9"]
    Image.new("RGB", (5, 5), "blue").save(comfy.folders.input / "photo.png")
    entry = run(comfy.url, graph)
    assert entry["status"]["messages"][1][1]["nodes"] == []
    assert pictures(comfy, entry, "9")[0].getpixel((1, 1)) == (0, 0, 255)


def test_files_saved_before_another_node_fails_exist(comfy):
    graph = plain_graph() | {
        "5": node("ImageInvert", image=["3", 0]),
        "6": node("SaveImage", images=["5", 0], filename_prefix="../x"),
    }
    entry = run(comfy.url, graph)
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["messages"][-1][1]["executed"] == ["1", "2", "3", "4", "5"]
    assert list(entry["outputs"]) == ["4"]
    assert (comfy.folders.output / "plain_00001_.png").exists()


@pytest.mark.parametrize(("switch", "ran", "size"), [(True, "2", (50, 60)), (False, "1", (30, 20))])
def test_a_switch_runs_only_the_side_it_takes(comfy, switch, ran, size):
    graph = {
        "1": empty(30, 20),
        "2": empty(50, 60),
        "3": node("ComfySwitchNode", switch=switch, on_false=["1", 0], on_true=["2", 0]),
        "9": preview("3"),
    }
    with Listener(comfy.url) as listener:
        body = {"prompt": graph, "client_id": listener.client_id}
        prompt_id = requests.post(f"{comfy.url}/prompt", json=body, timeout=20).json()["prompt_id"]
        listener.until("executing", node=None)
    started = {frame["data"]["node"] for frame in listener.messages() if frame["type"] == "executing"}
    assert started == {ran, "3", "9", None}
    entry = requests.get(f"{comfy.url}/history/{prompt_id}", timeout=20).json()[prompt_id]
    assert pictures(comfy, entry, "9")[0].size == size


def test_what_is_near_an_output_runs_before_what_was_found_first(comfy):
    graph = {
        "6": empty(10, 10),
        "7": node("ImageInvert", image=["6", 0]),
        "5": empty(20, 20),
        "8": node("ImageBatch", image1=["5", 0], image2=["7", 0]),
        "9": preview("8"),
    }
    with Listener(comfy.url) as listener:
        body = {"prompt": graph, "client_id": listener.client_id}
        requests.post(f"{comfy.url}/prompt", json=body, timeout=20)
        listener.until("executing", node=None)
    order = [frame["data"]["node"] for frame in listener.messages() if frame["type"] == "executing"]
    assert order == ["5", "6", "7", "8", "9", None], "as a real ComfyUI 0.8.0 ran it"


def test_texts_are_shown(comfy):
    graph = {
        "1": node("PrimitiveString", value="a"),
        "2": node("StringConcatenate", string_a=["1", 0], string_b="b", delimiter="-"),
        "9": node("PreviewAny", source=["2", 0]),
    }
    assert run(comfy.url, graph)["outputs"] == {"9": {"text": ["a-b"]}}


def test_animations_are_written(comfy):
    graph = {
        "1": node("ImageBatch", image1=["2", 0], image2=["3", 0]),
        "2": empty(16, 16, 1, 0xFF0000),
        "3": empty(16, 16, 1, 0x0000FF),
        "9": node(
            "SaveAnimatedWEBP",
            images=["1", 0],
            filename_prefix="clip",
            fps=5.0,
            lossless=True,
            quality=80,
            method="default",
        ),
    }
    entry = run(comfy.url, graph)
    assert entry["outputs"]["9"]["animated"] == [True]
    (clip,) = pictures(comfy, entry, "9")
    assert (clip.format, clip.n_frames, entry["outputs"]["9"]["images"][0]["filename"]) == (
        "WEBP",
        2,
        "clip_00001_.webp",
    )


def test_a_generated_picture_is_the_same_for_the_same_request_only(comfy):
    base = bytes_of(comfy, text_to_image(width=128, height=128))
    run(comfy.url, plain_graph())  # so that nothing of it is kept
    assert bytes_of(comfy, text_to_image(width=128, height=128)) == base
    assert bytes_of(comfy, text_to_image(width=128, height=128, seed=2)) != base
    assert bytes_of(comfy, text_to_image(width=128, height=128, text="a dog")) != base


def test_a_batch_gives_different_pictures_of_the_asked_size(comfy):
    entry = run(comfy.url, text_to_image(width=72, height=136, batch_size=3))
    images = pictures(comfy, entry, "9")
    assert [image.size for image in images] == [(72, 136)] * 3
    assert len({image.tobytes() for image in images}) == 3


def test_the_prompt_is_found_behind_what_is_between_it_and_the_sampler(comfy):
    graph = text_to_image(width=512, height=512, text="a lighthouse at dusk")
    graph |= {
        "20": node("ConditioningZeroOut", conditioning=["7", 0]),
        "21": node("FluxGuidance", conditioning=["6", 0], guidance=3.5),
    }
    graph["3"]["inputs"] |= {"positive": ["21", 0], "negative": ["20", 0]}
    (found,) = bytes_of(comfy, graph)
    facts = {
        "prompt": "a lighthouse at dusk",
        "negative": "blurry, low quality",
        "guidance": 3.5,
        "seed": 1,
        "steps": 2,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
        "model": "sd15.safetensors",
    }
    assert found == picture((512, 512), facts).tobytes()


def test_a_graph_of_separate_sampler_parts_shows_the_same_facts(comfy):
    graph = {
        "1": node("UNETLoader", unet_name="flux.safetensors", weight_dtype="default"),
        "2": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="l.safetensors", type="flux"),
        "3": node("CLIPTextEncode", clip=["2", 0], text="a lighthouse"),
        "4": node("BasicGuider", model=["1", 0], conditioning=["3", 0]),
        "5": node("RandomNoise", noise_seed=42),
        "6": node("KSamplerSelect", sampler_name="euler"),
        "7": node("BasicScheduler", model=["1", 0], scheduler="simple", steps=3, denoise=1.0),
        "8": node("EmptySD3LatentImage", width=256, height=192, batch_size=1),
        "10": node(
            "SamplerCustomAdvanced",
            noise=["5", 0],
            guider=["4", 0],
            sampler=["6", 0],
            sigmas=["7", 0],
            latent_image=["8", 0],
        ),
        "11": node("VAELoader", vae_name="ae.safetensors"),
        "12": node("VAEDecode", samples=["10", 0], vae=["11", 0]),
        "9": preview("12"),
    }
    with Listener(comfy.url) as listener:
        body = {"prompt": graph, "client_id": listener.client_id}
        requests.post(f"{comfy.url}/prompt", json=body, timeout=20)
        done = listener.until("executed", node="9")
    steps = [frame["data"]["value"] for frame in listener.messages() if frame["type"] == "progress"]
    assert steps == [1, 2, 3]
    data = view(comfy.url, done["data"]["output"]["images"][0]).content
    facts = {
        "prompt": "a lighthouse",
        "seed": 42,
        "steps": 3,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
        "model": "flux.safetensors",
    }
    assert Image.open(BytesIO(data)).tobytes() == picture((256, 192), facts).tobytes()


def test_latents_carry_their_size(comfy):
    graph = text_to_image(width=64, height=48)
    graph |= {
        "10": node("LatentUpscale", samples=["5", 0], upscale_method="bilinear", width=100, height=0, crop="disabled"),
        "11": node("LatentUpscaleBy", samples=["10", 0], upscale_method="bilinear", scale_by=1.5),
        "12": node("RepeatLatentBatch", samples=["11", 0], amount=2),
    }
    graph["3"]["inputs"]["latent_image"] = ["12", 0]
    images = pictures(comfy, run(comfy.url, graph), "9")
    assert [image.size for image in images] == [(144, 112)] * 2


def test_image_to_image_starts_from_the_picture(comfy):
    Image.new("RGB", (130, 70), (200, 30, 30)).save(comfy.folders.input / "start.png")
    graph = text_to_image()
    graph |= {
        "20": node("LoadImage", image="start.png"),
        "5": node("VAEEncode", pixels=["20", 0], vae=["4", 2]),
    }
    (image,) = pictures(comfy, run(comfy.url, graph), "9")
    assert image.size == (128, 64)
    red, green, blue = image.getpixel((5, 5))
    assert red > 2 * max(green, blue)


def test_upscaling_goes_by_the_models_name(comfy):
    graph = {
        "1": empty(30, 20),
        "2": node("UpscaleModelLoader", model_name="2x_soft.pth"),
        "3": node("ImageUpscaleWithModel", upscale_model=["2", 0], image=["1", 0]),
        "9": preview("3"),
    }
    (image,) = pictures(comfy, run(comfy.url, graph), "9")
    assert image.size == (60, 40)


@pytest.mark.parametrize("size", [(1, 1), (8, 300), (64, 64), (160, 160), (170, 2000), (2048, 512)])
def test_any_size_can_be_drawn(size):
    facts = {"prompt": "word " * 300, "seed": 2**64 - 1, "model": "m" * 200, "steps": 20}
    assert picture(size, facts).size == size


def test_the_mark_can_be_seen():
    plain, marked = (picture((512, 512), {"prompt": text}) for text in ("", "x"))
    for image in (plain, marked):
        band = image.crop((0, 0, 512, 36)).convert("L")
        assert band.getextrema()[1] > 240, "bright letters"
        assert sorted(band.get_flattened_data())[len(band.get_flattened_data()) // 2] < 90, "on a dark band"
    lower = (0, 300, 512, 512)
    assert ImageChops.difference(plain.crop(lower), marked.crop(lower)).getbbox()


def test_every_class_of_the_catalogue_completes():
    catalogue = load_catalogue()
    choices = {
        reference: ["some.safetensors"]
        for reference in catalogue.from_files
        if not reference.startswith(("LoadImage", "LoadVideo", "LoadAudio", "LoadLatent"))
    }
    failed: dict[str, str] = {}
    refused: dict[str, Any] = {}
    tried = 0
    with Simulator(choices=choices) as comfy:
        for class_type in catalogue:
            graph = minimal_graph(class_type, catalogue, choices)
            if graph is None:
                continue
            answer = requests.post(f"{comfy.url}/prompt", json={"prompt": graph}, timeout=20)
            if answer.status_code != 200:
                refused[class_type] = answer.json()
                continue
            tried += 1
            entry = run(comfy.url, graph)
            if not entry["status"]["completed"]:
                failed[class_type] = entry["status"]["messages"][-1][1]["exception_message"]
    assert refused == {}
    assert failed == {}
    assert tried > 400, "nearly all classes were tried"


def test_choices_can_be_taken_from_graphs():
    graph = text_to_image(checkpoint="mine.safetensors") | {"20": node("LoadImage", image="photo.png")}
    choices = choices_from([graph, {}, {"nodes": [], "last_node_id": 3}], load_catalogue())
    assert choices == {"CheckpointLoaderSimple.ckpt_name": ["mine.safetensors"]}
    with Simulator(choices=choices) as comfy:
        assert run(comfy.url, text_to_image(checkpoint="mine.safetensors"))["status"]["completed"]


def test_its_own_folder_goes_and_a_given_one_stays(tmp_path):
    with Simulator() as comfy:
        temporary = comfy.folders.output.parent
        run(comfy.url, plain_graph())
        assert list(comfy.folders.output.iterdir())
    assert not temporary.exists()
    with Simulator(folder=tmp_path) as comfy:
        run(comfy.url, plain_graph())
    assert (tmp_path / "output" / "plain_00001_.png").is_file()


def test_it_stops_while_something_runs_and_more_waits():
    with Simulator(choices=CHOICES, step_seconds=60) as comfy, Listener(comfy.url) as listener:
        for seed in (1, 2):
            body = {"prompt": text_to_image(seed=seed), "client_id": listener.client_id}
            requests.post(f"{comfy.url}/prompt", json=body, timeout=20)
        listener.until("executing", node="3")
    with pytest.raises(requests.ConnectionError):
        requests.get(comfy.url, timeout=20)


def test_a_taken_port_is_said_at_once():
    with Simulator() as first, pytest.raises(OSError, match="Address already in use"):
        Simulator(port=int(first.url.rsplit(":", 1)[1])).start()


def test_the_command_serves_until_it_is_told_to_stop(tmp_path):
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "t.json").write_text(json.dumps(text_to_image(checkpoint="theirs.safetensors")))
    command = [sys.executable, "-m", "engine.simulator", "--port", "0", "--folder", str(tmp_path / "comfy")]
    with subprocess.Popen(
        [*command, "--templates", str(templates)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stderr.readline()
            url = line.split()[-1]
            assert run(url, text_to_image(checkpoint="theirs.safetensors"))["status"]["completed"]
        finally:
            process.terminate()
        assert process.wait(20) == 0
    assert (tmp_path / "comfy" / "output" / "t2i_00001_.png").is_file()


def test_importing_the_engine_loads_neither_aiohttp_nor_pillow():
    code = "import engine, sys; print([name for name in ('aiohttp', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_documentations_example_runs(tmp_path):
    text = (Path(ROOT) / "docs" / "simulator.md").read_text()
    example = text.split("```python\n", 1)[1].split("```", 1)[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "txt2img_00001_.png" in done.stdout


@pytest.mark.parametrize("wrong", ["port", "templates"])
def test_what_is_wrong_with_its_command_line_is_said_without_a_traceback(wrong, tmp_path):
    with Simulator() as first:
        arguments, said = {
            "port": (["--port", first.url.rsplit(":", 1)[1]], "Address already in use"),
            "templates": (["--port", "0", "--templates", str(tmp_path / "nowhere")], "nowhere is no folder"),
        }[wrong]
        command = [sys.executable, "-m", "engine.simulator", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_it_takes_further_classes_and_other_ways_of_its_own_nodes():
    def twice(call: Call) -> Outcome:
        call.rest(0.0)
        return Outcome((call.inputs["image"], call.inputs["number"] * 2))

    def refuse(call: Call) -> Outcome:
        raise OSError(f"no room for {call.inputs['filename_prefix']}")

    declared = {"required": {"image": ["IMAGE"], "number": ["INT", {"min": 0, "max": 9}]}}
    described = {"input": declared, "output": ["IMAGE", "INT"], "output_node": False}
    with Simulator(classes={"Twice": described}, operations={"Twice": twice, "SaveImage": refuse}) as comfy:
        graph = {"1": empty(16, 16), "2": node("Twice", image=["1", 0], number=4), "9": preview("2")}
        (image,) = pictures(comfy, run(comfy.url, graph), "9")
        assert image.size == (16, 16)
        graph["2"]["inputs"]["number"] = 10  # checked like any other class
        refused = requests.post(f"{comfy.url}/prompt", json={"prompt": graph}, timeout=10)
        assert refused.json()["node_errors"]["2"]["errors"][0]["details"].startswith("number")
        graph = {"1": empty(16, 16), "9": node("SaveImage", images=["1", 0], filename_prefix="mine")}
        messages = dict(run(comfy.url, graph)["status"]["messages"])
        assert messages["execution_error"]["exception_message"] == "no room for mine\n"
    with Simulator() as plain:
        assert requests.get(f"{plain.url}/object_info/Twice", timeout=10).json() == {}
