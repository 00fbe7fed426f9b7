"""A network volume that is mounted late, or never."""

import os
import threading
from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import Settings, load_settings
from engine.volume import DEFAULT_PATH, DEFAULT_SECONDS, Awaited, awaited_paths, wait_for_volume


@pytest.fixture
def volume(tmp_path):
    """Where a volume is to be, which is not there yet."""
    return tmp_path / "volume"


def environment(volume, **more):
    return {"VOLUME_PATH": str(volume), "VOLUME_WAIT_SECONDS": "30", **{name: str(each) for name, each in more.items()}}


def waiting(variables):
    """A thread that waits, and what it ended with."""
    outcome = []

    def wait():
        try:
            wait_for_volume(variables)
        except SettingsError as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, outcome


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"COMFY_HOME": "/comfyui", "LOG_PATH": "/var/log/worker"}, []),
        ({"COMFY_HOME": ""}, []),
        ({"COMFY_HOME": "/runpod-volume-of-another/ComfyUI"}, []),
        ({"COMFY_HOME": "/runpod-volume/../comfyui"}, []),
        ({"COMFY_HOME": "/runpod-volume/ComfyUI"}, [("COMFY_HOME", "/runpod-volume/ComfyUI")]),
        ({"COMFY_FOLDER": "/other/../runpod-volume/c"}, [("COMFY_FOLDER", "/other/../runpod-volume/c")]),
        ({"COMFY_PYTHON": "/v/bin/python", "VOLUME_PATH": "/v"}, [("COMFY_PYTHON", "/v/bin/python")]),
        (
            {"WORKFLOWS_PATH": os.pathsep.join(["/app", "/runpod-volume/a", "/runpod-volume/b"])},
            [("WORKFLOWS_PATH", "/runpod-volume/a"), ("WORKFLOWS_PATH", "/runpod-volume/b")],
        ),
        (
            {"SPOOL_PATH": "/runpod-volume/spool/deep", "COMFY_LOG": "/runpod-volume/comfyui.log"},
            [("SPOOL_PATH", "/runpod-volume"), ("COMFY_LOG", "/runpod-volume")],
        ),
        ({"OUTPUT_FOLDER": "/runpod-volume/made"}, [("OUTPUT_FOLDER", "/runpod-volume")]),
        ({"MODELS_DIR": "/models"}, []),
    ],
)
def test_what_is_waited_for(variables, expected):
    assert awaited_paths(variables) == [Awaited(name, Path(path)) for name, path in expected]


def test_models_are_waited_for_until_the_volume_is_mounted():
    assert awaited_paths({"MODELS_DIR": "/v/models", "VOLUME_PATH": "/v"}) == [
        Awaited("MODELS_DIR", Path("/v"), mounted=True)
    ]


def test_nothing_on_the_volume_is_no_reason_to_wait(volume):
    wait_for_volume(environment(volume, COMFY_HOME="/nowhere", VOLUME_WAIT_SECONDS="1e9"))
    assert not volume.exists()


def test_a_volume_that_turns_up_late_is_waited_for(volume, tmp_path):
    home = volume / "ComfyUI"
    thread, outcome = waiting(environment(volume, COMFY_HOME=home, SPOOL_PATH=volume / "spool"))
    assert not outcome
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ComfyUI").mkdir(parents=True)
    elsewhere.rename(volume)  # there at once with all that is in it, as a mount is
    thread.join(20)
    assert outcome == [None]
    assert not (volume / "spool").exists()  # that one is ours to make


def test_what_comes_one_after_the_other_is_waited_for_to_the_last(volume):
    thread, outcome = waiting(
        environment(volume, WORKFLOWS_PATH=os.pathsep.join([str(volume / "a"), str(volume / "b")]))
    )
    (volume / "a").mkdir(parents=True)
    thread.join(0.3)
    assert thread.is_alive()
    (volume / "b").mkdir()
    thread.join(20)
    assert outcome == [None]


def test_a_volume_that_never_comes_is_named_with_what_to_do(volume):
    with pytest.raises(SettingsError) as caught:
        wait_for_volume(
            environment(volume, VOLUME_WAIT_SECONDS="0.2", COMFY_HOME=volume / "ComfyUI", LOG_PATH=volume / "logs")
        )
    assert [problem.where for problem in caught.value.problems] == ["COMFY_HOME", "LOG_PATH"]
    assert str(volume / "ComfyUI") in str(caught.value)
    assert "attach a network volume" in caught.value.hint


def test_a_wrong_path_on_a_volume_that_is_there_is_told_as_one(volume):
    volume.mkdir()
    with pytest.raises(SettingsError) as caught:
        wait_for_volume(environment(volume, VOLUME_WAIT_SECONDS="0", COMFY_HOME=volume / "ComfyUi"))
    assert "COMFY_HOME" in str(caught.value)
    assert "correct the path" in caught.value.hint


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf"])
def test_a_wait_that_is_none_is_left_for_the_settings_to_refuse(volume, seconds, monkeypatch):
    volume.mkdir()
    wait_for_volume(environment(volume, VOLUME_WAIT_SECONDS=seconds, LOG_PATH=volume / "logs"))
    monkeypatch.setenv("VOLUME_WAIT_SECONDS", seconds)
    with pytest.raises(SettingsError, match="VOLUME_WAIT_SECONDS"):
        load_settings()


def test_the_defaults_are_those_that_the_settings_tell():
    fields = Settings.model_fields
    assert str(fields["volume_path"].default) == DEFAULT_PATH
    assert fields["volume_wait_seconds"].default == DEFAULT_SECONDS
