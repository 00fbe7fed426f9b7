"""A ComfyUI with a node pack of the test's own: frozen, restored elsewhere, verified, broken, removed."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import COMFY_ARGS, COMFY_PYTHON
from support.command import run_engine
from support.repositories import git, repository
from support.workflows import ROOT, write_workflow

pytestmark = pytest.mark.comfyui

PACK = """
class LighthouseColor:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"shade": ("INT", {"default": 1, "min": 0, "max": 9})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "color"
    CATEGORY = "test"

    def color(self, shade):
        return (shade,)


NODE_CLASS_MAPPINGS = {"LighthouseColor": LighthouseColor}
"""
GRAPH = {
    "1": {"class_type": "LighthouseColor", "inputs": {"shade": 3}},
    "2": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}
MAP = {
    "parameters": {"shade": {"type": "integer", "bind": "$['1'].inputs.shade"}},
    "outputs": {"image": {"node": "3"}},
    "requires": {"node_packs": ["lighthouse-pack"]},
    "examples": [{"title": "One", "payload": {"shade": 4}}],
}


@pytest.fixture
def base(tmp_path):
    """An empty folder for ComfyUI's own files, in place of the one it is installed in."""
    for name in ("custom_nodes", "input", "output", "models"):
        (tmp_path / "base" / name).mkdir(parents=True)
    return tmp_path / "base"


@pytest.fixture
def engine(tmp_path):
    """Run `engine …` on the snapshots and the workflows of the test."""

    def run(*words, status=0):
        environment = {"WORKFLOWS_PATH": str(tmp_path / "workflows"), "VOLUME_PATH": str(tmp_path / "none")}
        return run_engine(tmp_path, *words, status=status, **environment)

    return run


@pytest.fixture
def verify(engine, comfy_home, base, tmp_path):
    """Verify the ComfyUI whose packs are in the base folder."""
    python = ("--python", COMFY_PYTHON) if COMFY_PYTHON else ()
    arguments = shlex.join([*COMFY_ARGS, "--base-directory", str(base)])

    def verify(status=0):
        where = ("--folder", tmp_path / "snapshots", "--home", comfy_home, *python, f"--args={arguments}", "--json")
        return json.loads(engine("snapshot", "verify", "made", *where, status=status).stdout)

    return verify


def freeze(engine, process, base_, tmp_path, name, *more):
    """Freeze a ComfyUI, started for it and ended, into the snapshots of the test."""
    with process:
        where = ("--home", process.home, "--folder", tmp_path / "snapshots")
        return engine("snapshot", "freeze", "--from", process.url, "--name", name, *where, *more)


def test_what_is_frozen_is_restored_verified_and_checked(comfy_process_and_base, engine, verify, base, tmp_path):
    process, origin = comfy_process_and_base
    snapshots = tmp_path / "snapshots"
    url = f"file://{tmp_path}/packs/lighthouse-pack"
    commit = repository(tmp_path / "packs" / "lighthouse-pack", __init__=PACK)
    git(origin / "custom_nodes", "clone", "-q", url)
    # The pack moves on; what was frozen stays what it was.
    (tmp_path / "packs/lighthouse-pack/__init__.py").write_text("raise SystemError('a later commit')")
    git(tmp_path / "packs/lighthouse-pack", "commit", "-qam", "second")

    done = freeze(engine, process, origin, tmp_path, "made")

    assert "warning: lighthouse-pack" not in done.stderr
    assert json.loads((snapshots / "made.json").read_text())["git_custom_nodes"] == {
        url: {"hash": commit, "disabled": False}
    }
    lock = json.loads((snapshots / "made.lock.json").read_text())
    assert lock["packs"] == {
        "lighthouse-pack": {
            "repository": url,
            "commit": commit,
            "version": None,
            "registry": None,
            "classes": ["LighthouseColor"],
        }
    }

    write_workflow(tmp_path / "workflows", "beacon", GRAPH, MAP)
    assert "error" not in engine("check", "--snapshot", f"{snapshots}/made").stdout
    wrong = {**GRAPH, "1": {"class_type": "LighthouseColor", "inputs": {"shade": 30}}}
    write_workflow(tmp_path / "workflows", "beacon", wrong, {**MAP, "parameters": {}, "examples": []})
    said = engine("check", "--snapshot", f"{snapshots}/made").stdout
    assert "LighthouseColor (1).shade: 30 is above the most" in said  # the inputs of the pack's class are known
    write_workflow(tmp_path / "workflows", "beacon", GRAPH, MAP)

    # Restored into an empty folder, as the image's build does it.
    restore = [
        sys.executable,
        ROOT / "docker/clone-packs.py",
        snapshots / "made.json",
        base / "custom_nodes",
        tmp_path / "r",
    ]
    subprocess.run(restore, check=True)
    found = verify()
    assert found["ok"]
    assert (found["differences"], found["import_failures"]) == ([], [])
    assert git(base / "custom_nodes/lighthouse-pack", "rev-parse", "HEAD") == commit

    # Broken: ComfyUI's own error is told.
    (base / "custom_nodes/lighthouse-pack/__init__.py").write_text("import nowhere_at_all\n")
    found = verify(status=1)
    (failure,) = found["import_failures"]
    assert failure["pack"] == "lighthouse-pack"
    assert failure["error"] == "No module named 'nowhere_at_all'"
    assert "lighthouse-pack/__init__.py" in failure["traceback"]
    assert any("lighthouse-pack gives none of its classes (LighthouseColor)" in each for each in found["differences"])

    # Gone.
    shutil.rmtree(base / "custom_nodes/lighthouse-pack")
    assert verify(status=1)["differences"] == [f"the pack lighthouse-pack is missing ({url})"]

    # A snapshot of a ComfyUI without it.
    shutil.rmtree(origin / "custom_nodes/lighthouse-pack")
    freeze(engine, process, origin, tmp_path, "without")
    said = engine("check", "--snapshot", f"{snapshots}/without", status=1).stdout
    assert f"is of the pack lighthouse-pack ({url}), which the snapshot without lacks and made has" in said
    assert "the snapshot without has no pack lighthouse-pack; made has lighthouse-pack" in said
