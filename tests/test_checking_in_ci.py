"""Checking where the engine is an installed package: the pre-commit hook, the action, an author's own folder."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
import yaml
from support.checked_maps import MAP, WARNED
from support.command import run_engine
from support.workflows import ROOT, sampler_graph, write_workflow

from engine.simulator import Simulator


@pytest.fixture
def engine(tmp_path):
    """Run `engine …` on the workflows of an empty folder."""

    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{"WORKFLOWS_PATH": str(tmp_path), **more})

    return run


def hook():
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return found


def test_the_hook_is_one_that_pre_commit_takes():
    found = hook()
    # https://pre-commit.com/#creating-new-hooks: these three are required
    assert found["id"] == "engine-check"
    assert isinstance(found["name"], str)
    assert found["entry"].split()[0] == "engine"
    assert found["language"] == "python"
    assert found["pass_filenames"] is False
    known = {"id", "name", "description", "entry", "args", "language", "files", "pass_filenames"}
    assert set(found) <= known


@pytest.fixture
def installed(tmp_path):
    """Run the engine as an installed package: a wheel built of the repository, in an author's own folder."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=90)
    packages = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(packages)

    def run(*arguments):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "PYTHONSAFEPATH": "1"}
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            cwd=tmp_path / "theirs",
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_hook_works_from_the_installed_package(installed, tmp_path):
    arguments = [*hook()["entry"].split()[1:], *hook()["args"]]
    theirs = write_workflow(tmp_path / "theirs", "poster", sampler_graph(), MAP)
    done = installed(*arguments)
    assert done.stdout == "ok      poster  (1 example)\n", done.stderr
    assert done.returncode == 0
    write_workflow(theirs, "poster", sampler_graph(), WARNED)
    assert installed(*arguments).returncode == 1


def test_an_installed_package_takes_the_snapshots_of_the_authors_folder(installed, tmp_path):
    theirs = write_workflow(tmp_path / "theirs", "poster", sampler_graph(), MAP)
    assert "there is no snapshot base in snapshots; it has none" in installed("check", "--snapshot", "base").stderr
    with Simulator() as comfy:
        made = installed("snapshot", "freeze", "--from", comfy.url, "--name", "base")

    assert made.returncode == 0, made.stderr
    assert (theirs / "snapshots" / "base.lock.json").is_file()
    assert installed("check", "--folder", ".", "--snapshot", "base").returncode == 0
    assert installed("snapshot", "list").stdout.startswith("base  (base.json)")


def test_an_installed_package_adds_nothing_beside_itself(installed, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "poster.json").write_text(json.dumps(sampler_graph()))
    done = installed("add", "poster.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--folder DIR, or a folder of yours in WORKFLOWS_PATH" in done.stderr
    assert installed("add", "poster.json", "--folder", ".").returncode == 0
    assert (theirs / "schemas" / "poster.json").is_file()


def test_the_action_is_valid_and_its_command_runs(engine, tmp_path):
    blocks = (ROOT / "docs" / "ci.md").read_text().split("```yaml\n")[1:]
    hooks, action = (yaml.safe_load(block.partition("```")[0]) for block in blocks)
    assert hooks["repos"][0]["hooks"] == [{"id": hook()["id"]}]
    steps = action["jobs"]["check"]["steps"]
    command = steps[-1]["run"].split()
    assert command[0] == "engine"
    write_workflow(tmp_path, "poster", sampler_graph(), MAP)
    engine(*command[1:])
    write_workflow(tmp_path, "poster", sampler_graph(), WARNED)
    engine(*command[1:], status=1)
    assert action[True]["pull_request"] is None  # YAML 1.1 reads the key `on` as true
