"""The step of the image's build that clones the node packs of a snapshot: docker/clone-packs.py."""

import json
import subprocess
import sys

import pytest
from support.repositories import git, repository
from support.workflows import ROOT


@pytest.fixture
def restore(tmp_path):
    """Restore a snapshot into an empty folder; gives the status and what was said of failures."""
    (tmp_path / "custom_nodes").mkdir()

    def run(text):
        (tmp_path / "base.json").write_text(text if isinstance(text, str) else json.dumps(text))
        done = subprocess.run(
            [sys.executable, ROOT / "docker/clone-packs.py", "base.json", "custom_nodes", "rest.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    return run


def test_packs_are_cloned_at_their_commits_and_those_of_the_registry_are_left_for_later(restore, tmp_path):
    wanted = repository(tmp_path / "lighthouse", __init__="first = 1")
    git(tmp_path / "lighthouse", "commit", "-qm", "later", "--allow-empty")
    (tmp_path / "single.py").write_text("")
    snapshot = {
        "git_custom_nodes": {
            str(tmp_path / "lighthouse"): {"hash": wanted, "disabled": False},
            str(tmp_path / "off"): {"hash": wanted, "disabled": True},
        },
        "cnr_custom_nodes": {"from-registry": "1.2.0", "ComfyUI-Manager": "3.0.0"},
        "file_custom_nodes": [{"filename": "single.py"}, {"filename": "websocket_image_save.py"}],
    }

    assert restore(snapshot) == (0, "")
    assert {path.name for path in (tmp_path / "custom_nodes").iterdir()} == {"lighthouse", "single.py"}
    assert git(tmp_path / "custom_nodes" / "lighthouse", "rev-parse", "HEAD") == wanted
    assert json.loads((tmp_path / "rest.json").read_text())["cnr_custom_nodes"] == {"from-registry": "1.2.0"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "base.json can't be read as JSON"),
        ("[" * 99_999, "base.json can't be read as JSON"),
        ([], "base.json is no snapshot of ComfyUI-Manager"),
        ({"format": 1, "packs": {}}, "base.json is no snapshot of ComfyUI-Manager"),
        ({"git_custom_nodes": [1]}, "base.json: git_custom_nodes is not as ComfyUI-Manager writes it"),
        ({"git_custom_nodes": {"a": None}}, "base.json: git_custom_nodes is not as"),
        ({"cnr_custom_nodes": {"a": 1}}, "base.json: cnr_custom_nodes is not as"),
        ({"file_custom_nodes": ["a.py"]}, "base.json: file_custom_nodes is not as"),
        ({"file_custom_nodes": [{"filename": "../a.py"}]}, "a: nothing says where a.py is from"),
        ({"git_custom_nodes": {"x": {"hash": "--upload-pack=touch it"}}}, "does not say which commit"),
        ({"git_custom_nodes": {"x": {"hash": "unknown"}}}, "does not say which commit"),
        ({"git_custom_nodes": {"nowhere/at-all": {"hash": "a" * 40}}}, "at-all: nowhere/at-all at aaaa"),
    ],
)
def test_what_can_not_be_restored_is_told_and_leaves_nothing(restore, tmp_path, text, said):
    status, told = restore(text)

    assert status == 1
    assert said in told
    assert list((tmp_path / "custom_nodes").iterdir()) == []
