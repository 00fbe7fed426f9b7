"""The node catalogue: what it knows of inputs, which lists it may enforce, what it keeps of a running ComfyUI."""

import gzip
import json

import pytest
from support.workflows import ROOT, SHARED

from engine import Catalog
from engine.nodes import NodeCatalogue, load_catalogue

RAW = {
    "Loader": {
        "input": {
            "required": {
                "ckpt_name": [["a.safetensors", "b.safetensors"], {"tooltip": "The file.", "default": "a.safetensors"}],
                "mode": ["COMBO", {"options": ["fast", "slow"], "tooltip": "How."}],
                "image": [["cat.png"], {"image_upload": True}],
                "steps": ["INT", {"default": 20, "min": 1, "max": 99, "tooltip": "Many."}],
            },
            "optional": {"mask": ["MASK", {}]},
            "hidden": {"prompt": "PROMPT"},
        },
        "output": ["MODEL", "CLIP"],
        "output_tooltips": ["A model."],
        "description": "Loads.",
        "output_node": False,
    }
}


@pytest.fixture
def catalogue():
    return NodeCatalogue.from_object_info(RAW, version="1.2")


def test_inputs_have_types_ranges_and_choices(catalogue):
    steps = catalogue.input("Loader", "steps")
    assert (steps.type, steps.minimum, steps.maximum, steps.required) == ("INT", 1, 99, True)
    assert catalogue.input("Loader", "mode").choices == ("fast", "slow")
    assert not catalogue.input("Loader", "mask").required
    assert catalogue.input("Loader", "prompt") is None
    assert catalogue.input("Nothing", "steps") is None
    assert catalogue["Loader"].outputs == ("MODEL", "CLIP")


def test_lists_of_files_are_marked_and_enforced_only_live(catalogue):
    assert catalogue.from_files == {"Loader.ckpt_name", "Loader.image"}
    assert catalogue.choices("Loader.ckpt_name") is None
    assert catalogue.choices("Loader.mode") == ("fast", "slow")
    live = NodeCatalogue.from_object_info(RAW, version="1.2", live=True)
    assert live.choices("Loader.ckpt_name") == ("a.safetensors", "b.safetensors")


def test_a_list_with_a_file_that_the_models_folder_has_is_one_of_files():
    raw = {"Odd": {"input": {"required": {"what": [["mine"]]}}, "output": []}}
    assert not NodeCatalogue.from_object_info(raw, version="1").from_files
    assert NodeCatalogue.from_object_info(raw, version="1", model_files=["mine"]).from_files == {"Odd.what"}


@pytest.mark.parametrize("name", ["nodes.json", "nodes.json.gz"])
def test_what_is_kept_holds_no_prose_and_nobodys_files(catalogue, tmp_path, name):
    path = tmp_path / name
    catalogue.dump(path)
    text = (gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()).decode()
    for word in ("tooltip", "description", "The file", "safetensors", "cat.png"):
        assert word not in text
    read = NodeCatalogue.load(path)
    assert read.version == "1.2"
    assert read.from_files == catalogue.from_files
    assert read.input("Loader", "steps") == catalogue.input("Loader", "steps")
    first = path.read_bytes()
    read.dump(path)
    assert path.read_bytes() == first


def test_dynamic_inputs_are_found_by_their_dotted_names():
    nodes = load_catalogue()
    assert nodes.input("ResizeImageMaskNode", "resize_type.width").type == "INT"
    assert "scale dimensions" in nodes.input("ResizeImageMaskNode", "resize_type").choices
    assert nodes.input("BatchImagesNode", "images.image7") is not None
    assert nodes.input("BatchImagesNode", "pictures.image7") is None


@pytest.mark.parametrize("version", ["0.3.64", "0.8.0"])
def test_the_shipped_workflows_are_fine_with_both_measured_versions(version):
    path = SHARED / "comfyui" / f"object_info-{version}.json"
    if not path.exists():
        pytest.skip(f"the measured /object_info of {version} is not beside the repository")
    entries = list(Catalog([ROOT], NodeCatalogue.load(path)).entries())
    assert [(entry.source.name, entry.error) for entry in entries if entry.error] == []
    assert all(entry.workflow.warnings == () for entry in entries)


def test_the_bundled_catalogue_is_as_small_as_it_can_be():
    kept = json.dumps(load_catalogue().object_info)
    assert "tooltip" not in kept
    assert len(load_catalogue()) > 400


def test_a_path_of_the_machine_among_the_choices_is_not_kept(tmp_path):
    place = "Put .pt models into /srv/comfyui/models/ultralytics"
    plain = [["a/b", "https://example.com/a/b", "16:9 / wide"], {"default": "a/b"}]
    required = {"model": [[place], {"default": place}], "kind": plain}
    info = {"Detect": {"input": {"required": required}, "output": []}}
    NodeCatalogue.from_object_info(info, version="0.8.0").dump(tmp_path / "nodes.json")
    kept = NodeCatalogue.load(tmp_path / "nodes.json")
    assert "/srv" not in (tmp_path / "nodes.json").read_text()
    assert kept["Detect"].inputs["model"].choices == ()
    assert kept["Detect"].inputs["kind"].choices == tuple(plain[0])


def test_a_widget_that_a_pack_made_itself_takes_a_text():
    inputs = {"optional": {"colour": ["COLORCODE", {"default": "#222222"}], "model": ["MODEL"]}}
    found = NodeCatalogue({"Fill": {"input": inputs, "output": []}})["Fill"].inputs
    assert [found["colour"].is_value, found["model"].is_value] == [True, False]
