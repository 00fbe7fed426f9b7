"""The examples of docs/workflows.md: each map loads with its template, and does what the page says of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.media import picture
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.errors import InvalidPayload
from engine.node_packs import node_packs
from engine.simulator import Simulator

PAGE = (ROOT / "docs" / "workflows.md").read_text().partition("### On a volume")[0]  # what follows has tests of its own
TEMPLATES = ROOT / "tests" / "data" / "recipes"
BLOCK = re.compile(r"(?:<!-- (map|payload|snapshot|result)(?:: (\w+))? -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
BLOCKS = [(kind, name, language, text) for kind, name, language, text in BLOCK.findall(PAGE)]
MAPS = [(name, text) for kind, name, _, text in BLOCKS if kind == "map"]
SUFFIX = ".safetensors"
CHOICES = {
    "CheckpointLoaderSimple.ckpt_name": [f"v1-5-pruned-emaonly-fp16{SUFFIX}"],
    "LoraLoader.lora_name": [f"style{SUFFIX}", f"ink{SUFFIX}", f"fog{SUFFIX}"],
    "ControlNetLoader.control_net_name": [f"canny{SUFFIX}"],
}
PHOTO = "data:image/png;base64,iVBORw0KGgo="


def template(name):
    return json.loads((TEMPLATES / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of workflows with every recipe of the page, a list of two as `WORKFLOWS_PATH=.:mine` has it."""
    folder = tmp_path_factory.mktemp("recipes")
    for name, text in reversed(MAPS):  # of two maps of one template the first is the recipe
        write_workflow(folder, name, template(name), text)
    for place in (folder, folder / "mine"):
        for part in ("templates", "schemas"):
            (place / part).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / part / "resize.json", place / part)
    return folder


@pytest.fixture
def recipes(folder):
    return Catalog([folder])


@pytest.fixture
def engine(folder, comfy_url, tmp_path):
    """Run a command in a folder of its own that has the recipes; gives the paths it prints, or what it printed."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)

    def run(command, url=comfy_url):
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "WORKFLOWS_PATH": ".",
            "COMFY_URL": url,
        }
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def rendered(workflow, **payload):
    return workflow.render(workflow.validate(payload))


def classes(graph):
    return sorted(node["class_type"] for node in graph.values())


def test_every_example_of_the_page_is_one_that_is_tried():
    assert {(kind, language) for kind, _, language, _ in BLOCKS} == {
        ("map", "json"),
        ("payload", "json"),
        ("snapshot", "json"),
        ("result", "json"),
        ("", "console"),
    }
    assert PAGE.count("\n```") == 2 * len(BLOCKS)
    assert {path.stem for path in TEMPLATES.glob("*.json")} == {name for name, _ in MAPS}


@pytest.mark.parametrize("index", range(len(MAPS)))
def test_a_map_loads_with_its_template_and_warns_of_nothing(index, tmp_path):
    name, text = MAPS[index]
    workflow = Catalog([write_workflow(tmp_path, name, template(name), text)])[name]
    assert not workflow.warnings
    assert len(workflow.examples) == len(json.loads(text).get("examples", []))  # they were rendered as it loaded


def test_the_commands_of_the_page_print_what_it_says(engine):
    consoles = [text for _, _, language, text in BLOCKS if language == "console"]
    assert len(consoles) >= 3
    for text in consoles:
        command, *expected = text.removeprefix("$ ").splitlines()
        printed = "\n".join(engine(command))
        for line in expected:
            assert re.search(f"^{re.escape(line).replace('…', '.*')}$", printed, re.MULTILINE), f"{line}\n{printed}"


def test_a_file_as_an_object(recipes):
    ((_, name, _, text),) = [block for block in BLOCKS if block[0] == "payload"]
    workflow, payload = recipes[name], json.loads(text)
    (media,) = workflow.media_values(workflow.validate(payload))
    assert media.value == payload["image"]
    with pytest.raises(InvalidPayload, match="unknown key"):
        workflow.validate({"image": {**payload["image"], "name": "x"}})
    with pytest.raises(InvalidPayload, match="is required"):
        workflow.validate({"image": {"filename": "x"}})


def test_files_inside_lists_and_objects_are_seen_by_their_names(recipes):
    workflow = recipes["layers"]
    graph = rendered(workflow, pictures=[PHOTO, PHOTO])
    assert graph["1"]["inputs"]["image"] == "pictures_0.png"
    assert graph["2"]["inputs"]["image"] == "pictures_1.png"
    assert (graph["3"]["inputs"]["blend_mode"], graph["3"]["inputs"]["blend_factor"]) == ("normal", 0.5)
    graph = rendered(workflow, pictures=[PHOTO, PHOTO], layer={"instead": PHOTO, "mode": "screen"})
    assert graph["2"]["inputs"]["image"] == "layer_instead.png"
    assert graph["3"]["inputs"]["blend_mode"] == "screen"


def test_layers_run(engine, tmp_path):
    (tmp_path / "a.png").write_bytes(picture((20, 10)))
    payload = {"pictures": ["@a.png", "@a.png"], "layer": {"opacity": 0.25}}
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    (path,) = engine("engine run layers --payload payload.json")
    with Image.open(tmp_path / path) as made:
        assert made.size == (20, 10)


@pytest.mark.parametrize(("options", "size"), [("", (256, 192)), ("-p upscale=1.5", (384, 288))])
def test_the_upscaler_is_optional(engine, recipes, tmp_path, options, size):
    (path,) = engine(f"engine run optional_upscale -p color=#102030 {options}")
    with Image.open(tmp_path / path) as made:
        assert made.size == size
        assert made.convert("RGB").getpixel((9, 9)) == (0x10, 0x20, 0x30)
    assert "ImageScaleBy" not in classes(rendered(recipes["optional_upscale"]))


def test_the_controlnet_is_optional_and_goes_with_its_loaders(recipes, engine):
    workflow = recipes["optional_control"]
    free = rendered(workflow, prompt="x")
    assert (free["3"]["inputs"]["positive"], free["3"]["inputs"]["negative"]) == (["6", 0], ["7", 0])
    assert not {"ControlNetLoader", "ControlNetApplyAdvanced", "LoadImage"} & set(classes(free))
    held = rendered(workflow, prompt="x", control_image=PHOTO, control_strength=0.4)
    assert (held["3"]["inputs"]["positive"], held["3"]["inputs"]["negative"]) == (["22", 0], ["22", 1])
    assert held["22"]["inputs"]["strength"] == 0.4
    with Simulator(choices={**CHOICES, "ControlNetLoader.control_net_name": []}) as bare:
        assert len(engine("engine run optional_control -p prompt=x", bare.url)) == 1


def test_the_image_is_optional_and_the_background_goes_on(engine, recipes, tmp_path):
    without = rendered(recipes["optional_image"])
    assert without["9"]["inputs"]["images"] == ["1", 0]
    assert classes(without) == ["EmptyImage", "SaveImage"]
    (tmp_path / "photo.png").write_bytes(picture((256, 192)))
    plain, blended = (
        engine(f"engine run optional_image {options}") for options in ("", "-p overlay=@photo.png -p opacity=1")
    )
    with Image.open(tmp_path / plain[0]) as first, Image.open(tmp_path / blended[0]) as second:
        assert first.convert("RGB").getpixel((5, 5)) == (0x33, 0x66, 0x99)
        assert "ImageBlend" not in first.info["prompt"]
        assert json.loads(second.info["prompt"])["3"]["inputs"]["blend_factor"] == 1
        assert second.size == (256, 192)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_loras_stand_in_a_row(recipes, engine, tmp_path, count):
    loras = [
        {"name": CHOICES["LoraLoader.lora_name"][index % 3], "strength": 0.5 + index / 10} for index in range(count)
    ]
    graph = rendered(recipes["loras"], prompt="x", loras=loras)
    row = [node for node in graph.values() if node["class_type"] == "LoraLoader"]
    assert [node["inputs"]["strength_clip"] for node in row] == [lora["strength"] for lora in loras]
    assert (graph["3"]["inputs"]["model"] == ["4", 0]) == (count == 0)
    (tmp_path / "payload.json").write_text(json.dumps({"prompt": "x", "loras": loras}))
    with Simulator(choices=CHOICES) as comfy:
        assert len(engine("engine run loras --payload payload.json", comfy.url)) == 1


def test_through_could_be_left_out(tmp_path, recipes):
    document = json.loads(dict(MAPS)["loras"])
    del document["repeat"]["10"]["through"]
    workflow = Catalog([write_workflow(tmp_path, "loras", template("loras"), document)])["loras"]
    payload = {"prompt": "x", "seed": 1, "loras": [{"name": "a"}, {"name": "b"}]}
    assert rendered(workflow, **payload) == rendered(recipes["loras"], **payload)


def test_of_alternatives_only_the_linked_one_is_kept(recipes, engine):
    workflow = recipes["alternatives"]
    plain = rendered(workflow, prompt="x", seed=3)
    assert ("KSampler" in classes(plain), "KSamplerAdvanced" in classes(plain)) == (True, False)
    other = rendered(workflow, prompt="x", seed=3, last_step=12)
    assert ("KSampler" in classes(other), "KSamplerAdvanced" in classes(other)) == (False, True)
    assert (other["30"]["inputs"]["noise_seed"], other["30"]["inputs"]["end_at_step"]) == (3, 12)
    with pytest.raises(InvalidPayload, match="last_step is at most steps"):
        workflow.validate({"prompt": "x", "steps": 4, "last_step": 5})
    with Simulator(choices=CHOICES) as comfy:
        for option in ("", "-p last_step=2"):
            assert len(engine(f"engine run alternatives -p prompt=x -p steps=3 {option}", comfy.url)) == 1


def test_an_output_that_a_switch_takes_away_is_refused_unless_it_has_no_name(tmp_path):
    document = json.loads(dict(MAPS)["several_outputs"])
    document["parameters"]["with_small"] = {"type": "boolean", "default": True}
    document["switches"] = {"small": {"when": "with_small", "remove": ["10"]}}
    catalog = Catalog([write_workflow(tmp_path, "w", template("several_outputs"), document)])
    (entry,) = catalog.entries()
    assert "the output small goes with its node" in str(entry.error)
    del document["outputs"]
    write_workflow(tmp_path, "w", template("several_outputs"), document)
    assert sorted(rendered(catalog["w"], with_small=False)) == ["1", "9"]


def test_what_is_required_is_described(tmp_path):
    name, text = MAPS[-1]
    write_workflow(tmp_path, name, template(name), text)
    done = subprocess.run(
        [Path(sys.executable).parent / "engine", "describe", name],
        env={"PATH": os.environ["PATH"], "WORKFLOWS_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "models/upscale_models/4x.safetensors  from https://example.com/4x.safetensors" in done.stdout
    assert "node pack ComfyUI_IPAdapter_plus" in done.stdout


def test_a_snapshot_names_the_pack_of_a_class(tmp_path):
    ((_, _, _, text),) = [block for block in BLOCKS if block[0] == "snapshot"]
    (tmp_path / "image.lock.json").write_text(text)
    assert node_packs(tmp_path)["IPAdapterAdvanced"] == "ComfyUI_IPAdapter_plus"


def shapes(value):
    """The keys of a document, and what kinds of values stand under them."""
    if isinstance(value, dict):
        return {key: shapes(each) for key, each in value.items()}
    if isinstance(value, list):
        return [*{json.dumps(shapes(each)): None for each in value}]
    return "number" if type(value) in (int, float) else type(value).__name__


def test_a_result_that_must_pass_is_made_anew(engine, tmp_path):
    path = engine("engine run bright_enough -p seed=64 --retries 10")[0]
    with Image.open(tmp_path / path) as made:
        assert made.convert("L").getpixel((5, 5)) >= 77
    ((_, _, _, text),) = [block for block in BLOCKS if block[0] == "result"]
    shown, made = (
        json.loads(text),
        json.loads("\n".join(engine("engine run bright_enough --json -p seed=20 --retries 10"))),
    )
    assert shapes(made["quality"]) == shapes(shown["quality"])
    for result in (shown, made):
        last = result["quality"]["tries"][result["quality"]["try"] - 1]
        assert (last["accepted"], last["values"]) == (True, {"seed": result["values"]["seed"]})
        for each in result["quality"]["tries"]:
            (score,) = each["scores"]
            assert score["score"] == pytest.approx(each["values"]["seed"] % 256 / 255, abs=1e-6)
            assert score["passed"] == each["accepted"] == (score["score"] >= score["min"])
    done = json.loads("\n".join(engine("engine run bright_enough -p any_grey=true --json")))
    assert "quality" not in done
