"""Freezing over what is there: nothing is lost silently, and nothing is left half done."""

import json
import os

import pytest
from support.command import run_engine

from engine.nodes import load_catalogue
from engine.simulator import Simulator
from engine.snapshots.freezing import freeze, write
from engine.snapshots.shelf import Shelved

STATS = {"system": {"comfyui_version": "0.8.0", "argv": []}}


@pytest.fixture
def comfy():
    """A ComfyUI without node packs."""
    with Simulator() as simulator:
        yield simulator.url


def engine(folder, *words, status=0):
    return run_engine(folder.parent, "snapshot", *words, "--folder", folder, status=status)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("base.json", "base.json: not JSON"),
        ("base_snapshot.json", "base_snapshot.json: not JSON"),
        ("base.lock.json", "base.lock.json: not JSON"),
        ("base.nodes.json.gz", "base.nodes.json.gz is there without a lock"),
    ],
)
def test_what_can_not_be_read_is_replaced_only_when_that_is_said(comfy, tmp_path, file, said):
    folder = tmp_path / "snapshots"
    folder.mkdir()
    (folder / file).write_text("mine")

    done = engine(folder, "freeze", "--from", comfy, "--name", "base", status=2)

    assert said in done.stderr
    assert "--replace does so" in done.stderr
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(file, "mine")]
    assert said in engine(folder, "freeze", "--from", comfy, "--name", "base", "--replace").stderr
    assert engine(folder, "list").stdout.endswith("it agrees with the snapshot\n")


class Interrupted(BaseException):
    """As KeyboardInterrupt is one."""


@pytest.mark.parametrize("there", [True, False])
def test_who_interrupts_it_finds_all_as_it_was(tmp_path, there):
    place = Shelved("base", tmp_path / "snapshots")
    nodes = load_catalogue()
    if there:
        write(freeze(nodes, STATS), place, keep_snapshot=False)
    before = {path.name: path.read_bytes() for path in place.folder.iterdir()} if there else {}

    class Breaks(type(place.nodes)):
        """A path at which the work is interrupted when the file is about to take its name."""

        def exists(self, **_options):
            raise Interrupted

    class Place(Shelved):
        @property
        def nodes(self):
            return Breaks(super().nodes)

    newer = freeze(nodes, {"system": {"comfyui_version": "0.9.0", "argv": []}})
    with pytest.raises(Interrupted):
        write(newer, Place("base", place.folder), keep_snapshot=False)

    assert {path.name: path.read_bytes() for path in place.folder.iterdir()} == before


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "there is no such folder" in engine(tmp_path / "nowhere", "list", status=2).stderr
    (tmp_path / "file").write_text(json.dumps({}))
    assert "there is no such folder" in engine(tmp_path / "file", "list", status=2).stderr


def test_folders_that_are_odd_or_hostile_keep_nobody_from_freezing(comfy, tmp_path):
    packs = tmp_path / "ComfyUI" / "custom_nodes"
    (packs / "deep").mkdir(parents=True)
    (packs / "deep" / "pyproject.toml").write_text("a = " + "[" * 99_999)
    for name in ("ein Päck.x", os.fsdecode(b"latin-\xff")):
        (packs / name).mkdir()
    (packs / os.fsdecode(b"one-\xff.py")).write_text("")
    (packs.parent / "main.py").write_text("")

    engine(tmp_path / "made", "freeze", "--from", comfy, "--home", packs.parent, "--name", "odd")

    lock = json.loads((tmp_path / "made" / "odd.lock.json").read_text())
    assert list(lock["packs"]) == ["deep", "ein Päck.x", "latin-?", "one-?"]


def test_the_folder_of_another_comfyui_is_refused(comfy, tmp_path):
    home = tmp_path / "ComfyUI"
    home.mkdir()
    (home / "main.py").write_text("")
    (home / "comfyui_version.py").write_text('__version__ = "0.3.64"')

    done = engine(tmp_path / "made", "freeze", "--from", comfy, "--home", home, status=2)

    assert f"--home {home} is ComfyUI 0.3.64, and {comfy} is 0.8.0, so it is another" in done.stderr
    assert not (tmp_path / "made").exists()
    (home / "comfyui_version.py").write_text('__version__ = "0.8.0"')
    engine(tmp_path / "made", "freeze", "--from", comfy, "--home", home)
