"""What the workflows that want node packs promise their callers, and what is known of those packs without a ComfyUI."""

import base64
import gzip
import json
import logging
import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image
from support.command import run_engine
from support.media import picture
from support.runners import asked, refused, runner_on
from support.workflows import ROOT

from engine import Catalog
from engine.comfyui import ComfyUI
from engine.errors import InvalidPayload
from engine.known_nodes import known_nodes, nodes_with
from engine.nodes import NodeCatalogue, load_catalogue
from engine.simulator import Simulator
from engine.simulator.classes import choices_from
from engine.snapshots.lock import read_lock


def inline(image):
    """A picture as a data URI."""
    file = BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


CATALOG = Catalog([ROOT])
OF_LIBRARY = ("faceswap", "flux_schnell_gguf", "portrait", "remove_background")
OF_PACKS = (*OF_LIBRARY, "portrait_pulid")
PHOTO = inline(Image.open(BytesIO(picture((300, 200)))))
SCENE = inline(Image.new("RGB", (256, 256), "#8090a0"))
PORTRAIT = {"prompt": "a portrait photo of a woman in the rain", "user_photo": PHOTO, "width": 256, "height": 256}


def rendered(name, **payload):
    workflow = CATALOG[name]
    return workflow.render(workflow.validate(payload))


def of_class(graph, class_type):
    [inputs] = [node["inputs"] for node in graph.values() if node["class_type"] == class_type]
    return inputs


@pytest.fixture
def simulator():
    nodes = known_nodes()
    choices = choices_from([CATALOG[name].template for name in OF_PACKS], nodes)
    with Simulator(nodes, choices=choices) as running:
        yield running


@pytest.fixture
def runner(simulator, tmp_path):
    with ComfyUI(simulator.url) as comfy:
        yield runner_on(comfy, tmp_path, CATALOG)


def opened(runner, reply, name="image"):
    [output] = [each for each in reply["outputs"] if each["name"] == name]
    with Image.open(output["path"]) as made:
        made.load()
        return made


# What callers are promised.


def test_a_portrait_that_shows_nobody_is_drawn_anew_and_the_scores_of_both_are_told(simulator, runner):
    simulator.faults.add({"fault": "grey", "node": "VAEDecode", "times": 1})
    reply = asked(runner, {"workflow": "portrait", "payload": PORTRAIT})
    quality = reply["quality"]
    first, second = quality["tries"]
    assert (quality["accepted"], quality["try"]) == (True, 2)
    assert [first["accepted"], second["accepted"]] == [False, True]
    skin = [next(each for each in tried["scores"] if each["check"] == "skin_tone") for tried in (first, second)]
    assert skin[0]["score"] < 0.02 <= skin[1]["score"] <= 0.9
    assert first["values"]["seed"] != second["values"]["seed"] == reply["values"]["seed"]
    assert opened(runner, reply).size == (256, 256)


def test_a_portrait_with_the_callers_own_seed_is_drawn_once_and_returned_with_a_warning(simulator, runner):
    simulator.faults.add({"fault": "grey", "node": "VAEDecode", "times": 4})
    reply = asked(runner, {"workflow": "portrait", "payload": {**PORTRAIT, "seed": 7}})
    assert (reply["quality"]["accepted"], len(reply["quality"]["tries"])) == (False, 1)
    assert reply["warnings"]


def test_a_face_is_swapped(runner):
    reply = asked(runner, {"workflow": "faceswap", "payload": {"image": SCENE, "user_photo": PHOTO}})
    assert reply["quality"]["accepted"]


def test_a_face_that_is_not_found_fails_the_job(runner):
    # ReActor then hands the picture back as it came; laid over itself, a picture of one colour is the same as well.
    failure = refused(runner, {"workflow": "faceswap", "payload": {"image": SCENE, "user_photo": SCENE}})
    assert failure["code"] == "quality_rejected"
    assert "not_identical_to_input of image is 0" in failure["message"]


def test_a_background_is_gone_and_the_mask_comes_with_it(runner):
    reply = asked(runner, {"workflow": "remove_background", "payload": {"image": SCENE}})
    cut = opened(runner, reply)
    assert cut.mode == "RGBA"
    assert cut.getchannel("A").getextrema() == (0, 255)
    assert opened(runner, reply, "mask").convert("L").tobytes() == cut.getchannel("A").tobytes()


def test_a_colour_is_put_behind_what_stays(runner):
    reply = asked(runner, {"workflow": "remove_background", "payload": {"image": SCENE, "color": "#ff8000"}})
    assert opened(runner, reply).convert("RGB").getpixel((0, 0)) == (255, 128, 0)


def test_all_inputs_of_the_background_node_are_sent_since_its_code_wants_them():
    inputs = of_class(rendered("remove_background", image=PHOTO), "BiRefNetRMBG")
    assert set(inputs) == set(known_nodes()["BiRefNetRMBG"].inputs)


@pytest.mark.parametrize("index", ["", "a", "1,", "-1", "0, 1"])
def test_faces_are_counted_in_plain_numbers(index):
    with pytest.raises(InvalidPayload, match="input_faces_index"):
        rendered("faceswap", image=SCENE, user_photo=PHOTO, input_faces_index=index)
    graph = rendered("faceswap", image=SCENE, user_photo=PHOTO, input_faces_index="0,12")
    assert of_class(graph, "ReActorOptions")["input_faces_index"] == "0,12"


def test_ranges_and_choices_of_the_packs_hold():
    with pytest.raises(InvalidPayload, match="left-right"):
        rendered("faceswap", image=SCENE, user_photo=PHOTO, input_faces_order="left-rigth")
    with pytest.raises(InvalidPayload, match=r"strength: must be at most 3"):
        rendered("portrait_pulid", prompt="a woman", user_photo=PHOTO, strength=5)


def test_the_photo_counts_for_a_part_of_the_steps_that_is_not_empty():
    with pytest.raises(InvalidPayload, match="start_at is at most end_at"):
        rendered("portrait_pulid", prompt="a woman", user_photo=PHOTO, start_at=0.5, end_at=0.4)


def test_the_quantised_flux_takes_the_names_that_its_users_know():
    sent = {"prompt": "a fox", "num_steps": 2, "batch_size": 3, "width": 512, "height": 768}
    graph = rendered("flux_schnell_gguf", **sent)
    assert of_class(graph, "KSampler")["steps"] == 2
    assert of_class(graph, "EmptySD3LatentImage") == {"width": 512, "height": 768, "batch_size": 3}


# What is needed.


@pytest.mark.parametrize("name", OF_PACKS)
def test_every_file_has_a_url_and_a_source_and_is_needed_by_all_but_where_a_caller_may_name_another(name):
    models = CATALOG[name].requires.models
    assert models
    assert all(model.url and model.url.startswith("https://") and model.source for model in models)
    optional = {each.path for each in CATALOG[name].needs.models if not each.always}
    own = {place for place in optional if not any(part in place for part in ("flux1-", "inswapper", "GFPGAN"))}
    assert not own


@pytest.mark.parametrize("name", OF_PACKS)
def test_what_is_not_for_commercial_use_is_said(name):
    paths = " ".join(model.path for model in CATALOG[name].requires.models)
    if "insightface" in paths or "flux1-dev" in paths:
        assert "non-commercial" in CATALOG[name].description


def test_they_pass_the_strict_check_with_the_snapshot_that_has_their_packs(tmp_path):
    for snapshot, names in (("library", OF_LIBRARY), ("pulid", ("portrait_pulid",))):
        arguments = ("check", "--strict", "--json", "--snapshot", ROOT / "snapshots" / snapshot, *names)
        document = json.loads(run_engine(tmp_path, *arguments, WORKFLOWS_PATH=ROOT).stdout)
        assert {each["status"] for each in document["workflows"]} == {"ok"}


# The snapshots.


@pytest.mark.parametrize("name", ["library", "pulid"])
def test_a_snapshot_names_commits_and_holds_nothing_of_the_machine_it_was_made_on(name):
    lock = read_lock(ROOT / "snapshots" / f"{name}.lock.json")
    assert all(pack.commit and pack.repository and pack.classes for pack in lock.packs.values())
    catalogue = gzip.decompress((ROOT / "snapshots" / f"{name}.nodes.json.gz").read_bytes()).decode()
    document = (ROOT / "snapshots" / f"{name}.json").read_text()
    assert not any(place in text for text in (catalogue, document) for place in ("/root/", "/home/", "/tmp/"))
    assert "random_lora" not in catalogue


# What is known of node packs.


def test_snapshots_are_read_for_those_workflows_alone_that_want_a_pack():
    assert nodes_with(["KSampler", "SaveImage"]) is load_catalogue()
    found = nodes_with(["KSampler", "ReActorFaceSwap"])
    assert "ReActorFaceSwap" in found
    assert "ApplyPulidFlux" in found
    assert found["KSampler"] == load_catalogue()["KSampler"]


def test_a_snapshot_that_can_not_be_read_takes_nothing_from_anybody(tmp_path, caplog):
    (tmp_path / "broken.lock.json").write_text("{}")
    (tmp_path / "broken.nodes.json.gz").write_bytes(b"no gzip")
    node = {"input": {}, "output": ["IMAGE"], "python_module": "custom_nodes.fine-pack"}
    (tmp_path / "fine.lock.json").write_text("{}")
    NodeCatalogue({"Fine": node}).dump(tmp_path / "fine.nodes.json.gz")
    with caplog.at_level(logging.WARNING):
        found = known_nodes(tmp_path)
    assert "Fine" in found
    assert "broken" in caplog.text


GOOD = {"input": {}, "output": ["IMAGE"], "python_module": "custom_nodes.odd-pack"}


def catalogue_file(nodes, **more):
    """The bytes of a node catalogue, as somebody may have written it."""
    return gzip.compress(json.dumps({"comfyui_version": "9", "from_files": [], "nodes": nodes, **more}).encode())


def damaged(data):
    """A file in which two bytes came out otherwise."""
    return data[:60] + bytes([data[60] ^ 0xFF, data[61] ^ 0x55]) + data[62:]


@pytest.mark.parametrize(
    "data",
    [
        damaged(catalogue_file({f"Odd{number}": GOOD for number in range(200)})),
        gzip.compress(b"[" * 100_000),
        catalogue_file(None),
        catalogue_file([GOOD]),
        catalogue_file({"Odd": 3}),
        catalogue_file({"Odd": GOOD}, from_files=3),
        catalogue_file({"Odd": GOOD | {"input": []}}),
        catalogue_file({"Odd": GOOD | {"input": {"required": ["x"]}}}),
        catalogue_file({"Odd": GOOD | {"input": {"required": {"x": []}}}}),
        catalogue_file({"Odd": GOOD | {"output": 3}}),
    ],
    ids=["damaged", "deep", "null", "list", "number", "from_files", "inputs", "required", "declared", "outputs"],
)
def test_a_snapshot_that_makes_no_sense_is_in_nobodys_way(tmp_path, data):
    (tmp_path / "odd.lock.json").write_text("{}")
    (tmp_path / "odd.nodes.json.gz").write_bytes(data)
    found = known_nodes(tmp_path)
    assert len(found) == len(load_catalogue())
    assert "Odd" not in found


def test_loading_the_other_workflows_reads_no_snapshot():
    code = (
        "import sys; from engine import Catalog; Catalog(['.'])['txt2img']\n"
        "from engine.known_nodes import known_nodes; sys.exit(known_nodes.cache_info().misses)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
