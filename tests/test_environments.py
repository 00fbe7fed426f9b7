"""Environments on the disk: what `versions/ID.json` says, and whether an environment is as its lock says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.environments import make_environment, starts
from support.workflows import ROOT

from engine.environments.choosing import Environments, settings_of_own, verify_own
from engine.environments.reading import read_environment
from engine.errors import EnvironmentUnverified, InvalidRequest, SettingsError
from engine.installations import Image
from engine.settings import Settings, load_settings
from engine.volume import VERSION_ID, version_file, version_ids, wait_for_volume

COMMIT = "a0f451a5113cf9becb0847b92884cb10cbdec0ef"
OTHER = "1d0c4ebf6ff58a5caecab40fa1406526bca4b5b9"


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


def write(volume, name, document):
    file = version_file(volume, name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(document if isinstance(document, str) else json.dumps(document))


def settings(volume, **more):
    return Settings(volume_path=volume, **more)


def clone(folder, commit):
    """A clone at that commit, as git leaves one."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(commit + "\n")


def refused(volume, name, **more):
    """What is wrong with an environment, for its operator."""
    with pytest.raises(EnvironmentUnverified) as caught:
        Environments(settings(volume, **more)).start_of(name)
    assert str(volume) not in json.dumps(caught.value.failure())
    return caught.value.detail


def test_what_is_left_out_lies_on_the_volume(volume):
    write(volume, "0.8.0", {})
    found = read_environment(volume, "0.8.0")
    assert found.home == volume / "builds" / "comfy-0.8.0"
    assert found.lock == volume / "versions" / "0.8.0.lock.json"
    assert (found.python, found.models_dir, found.args) == (None, None, None)


def test_paths_begin_at_the_volume_or_are_absolute(volume):
    document = {"comfyui": "a/./b", "python": "/usr/bin/python3", "models_dir": "../volume/m", "lock": "l.json"}
    write(volume, "x", {**document, "args": "--lowvram --base-directory '/a b'"})
    found = read_environment(volume, "x")
    assert str(found.python) == "/usr/bin/python3"
    assert (found.home, found.models_dir, found.lock) == (volume / "a/b", volume / "m", volume / "l.json")
    assert found.args == ("--lowvram", "--base-directory", "/a b")


def test_every_problem_of_a_file_is_told_at_once(volume):
    document = {"comfyui": "../elsewhere", "pyhton": "x", "models_dir": 7, "args": "'open", "lock": " "}
    write(volume, "x", document)
    with pytest.raises(SettingsError) as caught:
        read_environment(volume, "x")
    told = caught.value.message
    assert 'versions/x.json: pyhton: unknown key (did you mean "python"?)' in told
    assert 'comfyui: must stay on the volume, or be absolute (got "../elsewhere")' in told
    assert "models_dir: must be a path (got 7)" in told
    assert "lock: must be a path" in told
    assert "args: No closing quotation" in told


@pytest.mark.parametrize(
    ("text", "words"),
    [("[]", "must be an object (got an array)"), ("{", "not JSON"), ('{"a": 1, "a": 2}', "a"), (b"\xff", "not UTF-8")],
)
def test_a_file_that_is_none_is_told_with_its_name(volume, text, words):
    write(volume, "x", "")
    version_file(volume, "x").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError, match=r"versions/x\.json") as caught:
        read_environment(volume, "x")
    assert words in caught.value.message


@given(st.from_regex(r"[A-Za-z0-9._/ -]{1,20}", fullmatch=True))
def test_a_relative_path_never_leaves_the_volume(tmp_path_factory, text):
    volume = tmp_path_factory.mktemp("volume")
    write(volume, "x", {"comfyui": text})
    try:
        home = read_environment(volume, "x").home
    except SettingsError:
        return
    assert Path(text).is_absolute() or home.is_relative_to(volume)


@given(st.text(max_size=12))
def test_no_name_leads_out_of_the_folder_of_versions(name):
    if VERSION_ID.fullmatch(name):
        assert "/" not in name
        assert not name.startswith(".")


def test_the_names_are_those_of_the_files(volume):
    for name in ("0.8.0", "beta_2", "0.8.0.lock", ".hidden", "my env"):
        write(volume, name, {})
    assert version_ids(volume) == ["0.8.0", "beta_2"]
    assert version_ids(volume / "nothing") == []


def test_it_takes_the_places_of_the_settings_and_gives_them_back(volume, tmp_path):
    home = make_environment(volume, "a", args="--cpu", models_dir="mine")
    make_environment(volume, "b")
    python = home / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    given = settings(volume, comfy_args=("--lowvram",), models_dir=tmp_path, comfy_python=tmp_path / "python")
    one = read_environment(volume, "a").settings(given)
    assert (one.comfy_home, one.comfy_python, one.models_dir) == (home, python, volume / "mine")
    assert (one.comfy_args, one.version_id) == (("--cpu",), "a")
    assert one.source_of("comfy_home").found == "the environment a"
    two = read_environment(volume, "b").settings(one)
    assert (two.comfy_python, two.models_dir, two.comfy_args) == (tmp_path / "python", tmp_path, ("--lowvram",))


def test_without_a_venv_the_images_python_runs_it(volume, tmp_path):
    make_environment(volume, "a")
    image = Image(tmp_path / "nowhere", tmp_path / "python")
    image.python.write_text("")
    assert read_environment(volume, "a").settings(settings(volume), image).comfy_python == image.python


def test_comfyui_may_lie_in_a_folder_of_its_own(volume):
    home = make_environment(volume, "a")
    inside = volume / "whole"
    inside.mkdir()
    home.rename(inside / "ComfyUI")
    write(volume, "a", {"comfyui": "whole"})
    assert read_environment(volume, "a").home == inside / "ComfyUI"


def test_one_that_is_as_its_lock_says_can_be_started(volume):
    home = make_environment(volume, "a", pack="pack")
    start = Environments(settings(volume)).start_of("a")
    assert start.settings.comfy_home == home


def test_more_than_the_lock_has_is_no_difference(volume):
    (make_environment(volume, "a") / "custom_nodes" / "another").mkdir(parents=True)
    assert Environments(settings(volume)).start_of("a").version_id == "a"


def test_without_a_lock_it_is_not_verified(volume):
    home = make_environment(volume, "a", lock=False)
    told = refused(volume, "a")
    assert "it has no lock" in told
    assert f"COMFY_HOME={home}" in told
    assert "engine snapshot freeze" in told


def test_a_lock_that_can_not_be_read_is_told(volume):
    make_environment(volume, "a")
    (volume / "versions" / "a.lock.json").write_text('{"comfyui": {}}')
    assert "a.lock.json: comfyui.version: is missing" in refused(volume, "a")


def test_what_differs_on_the_disk_is_told_all_at_once(volume):
    locked = {"gone": {"classes": ["A"]}, "moved": {"commit": COMMIT, "classes": ["B"]}}
    home = make_environment(volume, "a", locked=locked, python="/nowhere/python")
    clone(home / "custom_nodes" / "moved", OTHER)
    (home / "comfyui_version.py").write_text('__version__ = "0.3.64"\n')
    assert refused(volume, "a").splitlines() == [
        "its Python is not there: /nowhere/python",
        "ComfyUI is 0.3.64, the lock says 0.8.0",
        "the pack gone is missing",
        "moved is at 1d0c4eb, the lock says a0f451a",
    ]


def test_packs_are_looked_for_where_the_arguments_say(volume, tmp_path):
    make_environment(volume, "a", locked={"pack": {}}, args=f"--base-directory {tmp_path / 'base'}")
    assert "the pack pack is missing" in refused(volume, "a")
    (tmp_path / "base" / "custom_nodes" / "pack").mkdir(parents=True)
    assert Environments(settings(volume)).start_of("a").version_id == "a"


def test_one_without_a_comfyui_is_told(volume):
    (make_environment(volume, "a") / "main.py").unlink()
    assert "ComfyUI is not there" in refused(volume, "a")


def test_a_file_with_mistakes_is_told_to_the_operator_alone(volume):
    make_environment(volume, "a", args=7)
    assert "versions/a.json: args: must be a text" in refused(volume, "a")


def test_those_that_would_be_refused_are_known_beforehand(volume):
    make_environment(volume, "good")
    make_environment(volume, "bad", lock=False)
    environments = Environments(settings(volume))
    assert environments.names() == ["bad", "good"]
    assert list(environments.unverified()) == ["bad"]


@pytest.mark.parametrize("name", ["0.8", "0.8.O", "../x", "", "x" * 200])
def test_an_unknown_name_is_refused_with_those_there_are(volume, name):
    make_environment(volume, "0.8.0")
    with pytest.raises(InvalidRequest) as caught:
        Environments(settings(volume)).known(name)
    assert "is no environment of this worker" in caught.value.message
    assert caught.value.hint == "the environments are: 0.8.0"
    assert ('did you mean "0.8.0"?' in caught.value.message) == name.startswith("0.8")


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:8188"])
def test_a_worker_without_environments_says_so(volume, url):
    if url:
        make_environment(volume, "a")
    with pytest.raises(InvalidRequest, match="this worker has no environments to choose from"):
        Environments(settings(volume, comfy_url=url)).known("a")


def test_the_own_one_is_refused_with_everything_that_differs(volume):
    make_environment(volume, "a", locked={"gone": {}, "away": {}})
    own = settings_of_own(settings(volume, version_id="a"))
    with pytest.raises(SettingsError) as caught:
        verify_own(own)
    assert [each.where for each in caught.value.problems] == ["VERSION_ID", "VERSION_ID"]
    assert "the environment a: the pack gone is missing" in caught.value.message


@pytest.mark.parametrize("other", ["COMFY_URL", "COMFY_HOME"])
def test_two_comfyuis_at_once_are_a_conflict(volume, monkeypatch, other):
    home = make_environment(volume, "a")
    monkeypatch.setenv("VERSION_ID", "a")
    monkeypatch.setenv("VOLUME_PATH", str(volume))
    monkeypatch.setenv(other, "http://127.0.0.1:1" if other == "COMFY_URL" else str(home))
    with pytest.raises(SettingsError, match=f"VERSION_ID: {other} names another ComfyUI"):
        load_settings()


@pytest.mark.parametrize("name", ["../a", ".a", "a/b", "a b"])
def test_a_name_that_none_can_have_is_refused(monkeypatch, name):
    monkeypatch.setenv("VERSION_ID", name)
    with pytest.raises(SettingsError, match="VERSION_ID"):
        load_settings()


def test_one_that_does_not_come_is_told_with_those_there_are(volume):
    make_environment(volume, "0.8.0")
    environment = {"VERSION_ID": "0.8.1", "VOLUME_PATH": str(volume), "VOLUME_WAIT_SECONDS": "0"}
    with pytest.raises(SettingsError) as caught:
        wait_for_volume(environment)
    assert 'did you mean "0.8.0"?); the environments there are: 0.8.0' in caught.value.message


def command(*arguments, **environment):
    """`engine ARGUMENTS` in a process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *arguments],
        env=kept | {name: str(value) for name, value in environment.items()},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_settings_that_an_environment_brings_are_shown_with_where_they_are_from(volume):
    home = make_environment(volume, "a", args="--cpu")
    done = command("settings", VOLUME_PATH=volume, VERSION_ID="a")
    assert done.returncode == 0, done.stderr
    assert f"COMFY_HOME={home}  (found: the environment a)" in done.stdout
    assert "COMFY_ARGS=--cpu  (found: the environment a)" in done.stdout
    assert "VERSION_ID=a\n" in done.stdout


def test_a_workflow_is_run_in_one_from_the_command_line(volume, tmp_path):
    make_environment(volume, "a")
    make_environment(volume, "b", args="--cpu")
    variables = {"VOLUME_PATH": volume, "COMFY_LOG": tmp_path / "log", "VERSION_ID": "a"}
    options = ("-p", "width=9", "--out", tmp_path / "out")
    done = command("run", "resize", *options, "--version-id", "b", **variables)
    assert done.returncode == 0, done.stderr
    done = command("run", "resize", *options, **variables)
    assert done.returncode == 0, done.stderr
    assert ["--cpu" in line for line in starts(tmp_path / "log")] == [True, False]
    assert len(list((tmp_path / "out").iterdir())) == 2
    done = command("run", "resize", *options, "--version-id", "c", **variables)
    assert done.returncode == 1
    assert '"c" is no environment of this worker' in done.stderr
    (volume / "versions" / "b.lock.json").unlink()
    done = command("run", "resize", *options, "--version-id", "b", **variables)
    assert done.returncode == 1
    assert "it has no lock" in done.stderr
