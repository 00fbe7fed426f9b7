"""ComfyUI is told of the folders of models that are not its own."""

from pathlib import Path

import pytest
import requests
import yaml

from engine import Catalog
from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.comfyui.model_paths import model_paths, write_model_paths
from engine.errors import ComfyUnavailable
from engine.model_folders import KINDS, folder_for_new, kinds_of, model_folders, places_of
from engine.settings import load_settings


@pytest.fixture
def read(monkeypatch):
    def read(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        return load_settings()

    return read


def folder(path):
    path.mkdir(parents=True)
    return path


def comfyui(home):
    folder(home / "models" / "checkpoints")
    (home / "main.py").write_text("")
    return home


def test_the_folders_are_those_that_are_there_in_order(read, tmp_path):
    home = comfyui(tmp_path / "comfyui")
    volume = tmp_path / "volume"
    mine = folder(tmp_path / "mine")
    settings = read(COMFY_HOME=home, VOLUME_PATH=volume, MODELS_DIR=mine)
    assert model_folders(settings) == [home / "models", mine]
    others = [folder(volume / "models"), folder(volume / "ComfyUI" / "models")]
    assert model_folders(settings) == [home / "models", mine, *others]


def test_a_base_directory_moves_comfyuis_own_models(read, tmp_path):
    home = comfyui(tmp_path / "comfyui")
    base = folder(tmp_path / "base" / "models").parent
    settings = read(COMFY_HOME=home, COMFY_ARGS=f"--base-directory {base}", VOLUME_PATH=tmp_path / "none")
    assert model_folders(settings) == [base / "models"]


def test_a_comfyui_on_the_volume_is_one_folder_and_not_two(read, tmp_path):
    home = comfyui(tmp_path / "ComfyUI")
    assert model_folders(read(COMFY_HOME=home, VOLUME_PATH=tmp_path)) == [home / "models"]


def test_new_files_go_where_they_outlive_the_worker(read, tmp_path):
    home, volume = comfyui(tmp_path / "comfyui"), tmp_path / "volume"
    settings = read(COMFY_HOME=home, VOLUME_PATH=volume)
    assert folder_for_new(settings) == home / "models"
    volume.mkdir()
    assert folder_for_new(settings) == volume / "models"
    assert folder_for_new(read(MODELS_DIR=tmp_path / "mine")) == tmp_path / "mine"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("checkpoints/a.safetensors", ["checkpoints/a.safetensors"]),
        ("diffusion_models/flux/a.gguf", ["diffusion_models/flux/a.gguf", "unet/flux/a.gguf"]),
        ("unet/a.gguf", ["unet/a.gguf", "diffusion_models/a.gguf"]),
        ("clip/a.bin", ["clip/a.bin", "text_encoders/a.bin"]),
        ("controlnet/a.pth", ["controlnet/a.pth", "t2i_adapter/a.pth"]),
    ],
)
def test_a_kind_of_two_names_is_looked_for_under_both(path, expected):
    assert list(places_of(path, [Path("/a"), Path("/b")])) == [
        *(Path("/a") / each for each in expected),
        *(Path("/b") / each for each in expected),
    ]


def test_every_kind_is_named_whether_it_is_there_yet_or_not(tmp_path):
    models = folder(tmp_path / "models")
    folder(models / "ipadapter")
    folder(models / "unet")
    folder(models / ".cache")
    (section,) = model_paths(tmp_path / "none", [models]).values()
    assert set(section) == {*KINDS, "ipadapter"}
    assert section["diffusion_models"] == f"{models / 'diffusion_models'}\n{models / 'unet'}"
    assert section["text_encoders"] == f"{models / 'text_encoders'}\n{models / 'clip'}"


@pytest.mark.parametrize("name", ["custom_nodes", "datasets", "base_path", "is_default"])
def test_what_would_mean_something_else_to_comfyui_is_not_named(tmp_path, name):
    models = folder(tmp_path / "models")
    folder(models / name)
    (section,) = model_paths(tmp_path / "none", [models]).values()
    assert set(section) == set(KINDS)


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "'quoted\" \\u0041",
        "ümläut",
        "lighthouse \U0001f5fc",
        "$HOME",
        "~",
        "#a: b",
        "trail ",
        "bad\udcff",
    ],
)
def test_a_folder_is_told_whatever_it_is_called(tmp_path, name):
    models = folder(tmp_path / name)
    folder(models / name)
    write_model_paths(tmp_path / "none", [models], tmp_path / "file")
    (section,) = yaml.safe_load((tmp_path / "file").read_text(encoding="utf-8")).values()
    assert section["vae"] == str(models / "vae")
    assert section[name] == str(models / name)


def test_a_relative_folder_is_one_of_this_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (section,) = model_paths(tmp_path / "none", [Path("models")]).values()
    assert section["vae"] == str(tmp_path / "models" / "vae")


def test_the_kinds_are_those_of_the_comfyui_that_is_there(tmp_path):
    table = 'folder_names_and_paths["{}"] = ([], set())\n'
    (tmp_path / "folder_paths.py").write_text("".join(table.format(each) for each in ("loras", "custom_nodes", "new")))
    assert kinds_of(tmp_path) == {"loras", "new"}
    (tmp_path / "folder_paths.py").write_text("this is no Python (")
    assert kinds_of(tmp_path) == set(KINDS)


def test_with_no_other_folder_comfyui_is_told_nothing(tmp_path):
    assert write_model_paths(tmp_path, [], tmp_path / "file") == []
    assert not (tmp_path / "file").exists()


def test_a_worker_hands_the_file_to_its_comfyui(tmp_path, read):
    home = comfyui(tmp_path / "comfyui")
    models = folder(tmp_path / "volume" / "models")
    program = "import pathlib, sys\nfile = sys.argv[sys.argv.index('--extra-model-paths-config') + 1]\n"
    (home / "main.py").write_text(program + "pathlib.Path('told').write_text(pathlib.Path(file).read_text())")
    settings = read(COMFY_HOME=home, VOLUME_PATH=tmp_path / "volume", COMFY_LOG=tmp_path / "log")
    backend = Backend(settings, Catalog([]), simulate=False)
    with backend, pytest.raises(ComfyUnavailable):  # it ends at once
        backend.comfy().ready(CancellationToken())
    (section,) = yaml.safe_load((home / "told").read_text()).values()
    assert section["vae"] == str(models / "vae")


@pytest.mark.comfyui
def test_a_real_comfyui_finds_them(comfy_variables, tmp_path, read):
    models = folder(tmp_path / "it's \U0001f5fc $HOME")
    for place in ("checkpoints/far.safetensors", "unet/deep/far.sft", "clip/far.bin", "insightface/far.onnx"):
        (models / place).parent.mkdir(parents=True, exist_ok=True)
        (models / place).write_text("")
    settings = read(**comfy_variables, MODELS_DIR=models)
    with Backend(settings, Catalog([]), simulate=False) as backend:
        comfy = backend.comfy()
        comfy.ready()
        folder(models / "vae")
        (models / "vae" / "late.pt").write_text("")
        kinds = ("checkpoints", "diffusion_models", "text_encoders", "vae", "insightface")
        listed = {kind: requests.get(f"{comfy.client.url}/models/{kind}", timeout=10).json() for kind in kinds}
    assert listed == {
        "checkpoints": ["far.safetensors"],
        "diffusion_models": [str(Path("deep") / "far.sft")],
        "text_encoders": ["far.bin"],
        "vae": ["late.pt"],
        "insightface": ["far.onnx"],
    }
