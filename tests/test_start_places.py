"""Where the start finds the volume, ComfyUI and its Python, and what it makes of a volume."""

from pathlib import Path

import pytest

from engine.installations import Image
from engine.model_folders import KINDS
from engine.models.hub_caches import link_repositories, own_cache, runpod_cache
from engine.starting.places import find
from engine.starting.volume_layout import make_folders
from engine.volume import DEFAULT_PATH, POD_PATH, volume_of


@pytest.fixture
def image(tmp_path):
    """An image with a ComfyUI and its Python."""
    home, python = tmp_path / "image" / "comfyui", tmp_path / "image" / "venv" / "bin" / "python"
    comfyui(home)
    file(python)
    return Image(home, python)


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


def file(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def comfyui(home):
    file(home / "main.py")
    return home


def values(found):
    return {name: each.value for name, each in found.items()}


def test_the_volumes_comfyui_comes_before_the_images(volume, image):
    environment = {"VOLUME_PATH": str(volume)}
    assert values(find(environment, image)) == {"COMFY_HOME": str(image.home), "COMFY_PYTHON": str(image.python)}
    own = comfyui(volume / "ComfyUI")
    found = find(environment, image)
    assert values(found) == {"COMFY_HOME": str(own), "COMFY_PYTHON": str(image.python)}
    assert found["COMFY_HOME"].source == "ComfyUI on the volume"


def test_a_comfyuis_own_venv_runs_it(volume, image):
    python = file(comfyui(volume / "ComfyUI") / "venv" / "bin" / "python")
    assert find({"VOLUME_PATH": str(volume)}, image)["COMFY_PYTHON"].value == str(python)


def test_a_venv_whose_python_is_gone_is_passed_over(volume, image):
    python = comfyui(volume / "ComfyUI") / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/of/another/image/python3.10")
    assert find({"VOLUME_PATH": str(volume)}, image)["COMFY_PYTHON"].value == str(image.python)


@pytest.mark.parametrize("variable", ["COMFY_URL", "COMFY_SIMULATE"])
def test_nothing_is_searched_where_another_is_to_run(volume, image, variable):
    comfyui(volume / "ComfyUI")
    assert find({"VOLUME_PATH": str(volume), variable: "1"}, image) == {}


def test_what_is_set_counts(volume, image, tmp_path):
    mine = comfyui(tmp_path / "mine")
    comfyui(volume / "ComfyUI")
    environment = {"VOLUME_PATH": str(volume), "COMFY_HOME": str(mine)}
    assert values(find(environment, image)) == {"COMFY_PYTHON": str(image.python)}
    assert find(environment | {"COMFY_PYTHON": "/usr/bin/python3"}, image) == {}


def test_with_no_comfyui_anywhere_nothing_is_made_up(volume, tmp_path):
    nowhere = Image(tmp_path / "a", tmp_path / "b")
    assert find({"VOLUME_PATH": str(volume)}, nowhere) == {}


@pytest.mark.parametrize(
    ("there", "environment", "expected"),
    [
        ([], {}, "ours"),
        (["ours", "pods/models"], {"RUNPOD_POD_ID": "p"}, "ours"),
        (["pods"], {}, "ours"),
        (["pods"], {"RUNPOD_POD_ID": "p", "RUNPOD_ENDPOINT_ID": "e"}, "ours"),
        (["pods"], {"RUNPOD_POD_ID": "p"}, "pods"),
        ([], {"RUNPOD_POD_ID": "p"}, "pods"),
        (["pods/ComfyUI"], {}, "pods"),
        (["pods/models"], {}, "pods"),
        (["pods/models"], {"RUNPOD_ENDPOINT_ID": "e"}, "ours"),
        (["ours"], {"VOLUME_PATH": "/mnt"}, "/mnt"),
    ],
)
def test_where_the_volume_is(tmp_path, there, environment, expected):
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    found = volume_of(environment, ours=tmp_path / "ours", pods=tmp_path / "pods")
    assert found == (Path(expected) if expected.startswith("/") else tmp_path / expected)


def test_runpods_places_are_the_defaults():
    assert (DEFAULT_PATH, POD_PATH) == ("/runpod-volume", "/workspace")


def test_a_new_volume_gets_a_folder_for_each_kind_of_model(volume):
    assert len(make_folders(volume)) == len(KINDS)
    assert {each.name for each in (volume / "models").iterdir()} == set(KINDS)
    assert make_folders(volume) == []


@pytest.mark.parametrize("name", ["models/checkpoints", "ComfyUI"])
def test_a_volume_in_use_is_left_as_it_is(volume, name):
    (volume / name).mkdir(parents=True)
    before = sorted(volume.rglob("*"))
    assert make_folders(volume) == []
    assert sorted(volume.rglob("*")) == before


def test_no_volume_is_made(tmp_path):
    assert make_folders(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def repository(cache, name="org--name"):
    """A repository in the layout of Hugging Face's cache."""
    file(cache / f"models--{name}" / "snapshots" / "abc" / "model.safetensors", "weights")
    return cache / f"models--{name}"


def test_what_runpod_has_cached_is_found_in_the_own_cache(volume, tmp_path):
    assert runpod_cache(volume) is None
    repository(volume / "huggingface-cache" / "hub")
    own = tmp_path / "own"
    mine = repository(own, "mine--model")
    cache = runpod_cache(volume)
    for _ in range(2):
        assert link_repositories(cache, own) == ["org/name"]
    assert (own / "models--org--name" / "snapshots" / "abc" / "model.safetensors").read_text() == "weights"
    assert not mine.is_symlink()
    file(own / "models--new--one" / "x")
    assert not (cache / "models--new--one").exists()


def test_what_the_own_cache_has_stays_and_a_dead_link_goes(volume, tmp_path):
    cache = volume / "huggingface-cache" / "hub"
    repository(cache)
    repository(cache, "org--other")
    own = tmp_path / "own"
    file(repository(own) / "mark")
    (own / "models--org--other").symlink_to("/a/volume/that/is/gone")
    assert link_repositories(cache, own) == ["org/other"]
    assert (own / "models--org--name" / "mark").exists()


def test_a_cache_that_is_the_own_one_is_not_linked_to_itself(volume):
    cache = volume / "huggingface-cache" / "hub"
    repository(cache)
    assert link_repositories(cache, cache) == []
    assert not (cache / "models--org--name").is_symlink()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_the_own_cache_is_where_hugging_faces_library_looks(environment, expected):
    assert own_cache(environment) == Path(expected)
