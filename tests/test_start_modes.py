"""What a container does: by its first argument, else by what the environment says of the place."""

import pytest
from support.worker import run_handler

from engine.errors import UsageError
from engine.starting.modes import choose

POD, ENDPOINT = {"RUNPOD_POD_ID": "p1"}, {"RUNPOD_ENDPOINT_ID": "e1"}


@pytest.mark.parametrize(
    ("arguments", "environment", "mode", "rest"),
    [
        (["serverless"], {}, "serverless", ()),
        (["serve"], ENDPOINT | POD, "serve", ()),
        (["cli", "run", "resize", "-p", "width=8"], ENDPOINT, "cli", ("run", "resize", "-p", "width=8")),
        (["cli"], {}, "cli", ()),
        (["serverless", "--rp_log_level", "INFO"], {}, "serverless", ("--rp_log_level", "INFO")),
        (["--test_input", "{}"], {}, "serverless", ("--test_input", "{}")),
        (["--test_input={}"], POD, "serverless", ("--test_input={}",)),
        (["--rp_serve_api", "--rp_api_port", "9"], {}, "serverless", ("--rp_serve_api", "--rp_api_port", "9")),
        ([], {"RUNPOD_SERVERLESS": "1"}, "serverless", ()),
        ([], {"SERVE_API_LOCALLY": "true"}, "serve", ()),
        ([], ENDPOINT | {"SERVE_API_LOCALLY": "True"}, "serve", ()),
        ([], ENDPOINT | {"SERVE_API_LOCALLY": "false"}, "serverless", ()),
        ([], {"RUNPOD_WEBHOOK_GET_JOB": "http://x/?"}, "serverless", ()),
        ([], ENDPOINT | POD, "serverless", ()),
        ([], POD, "serve", ()),
        (["--rp_log_level", "INFO"], POD, "serve", ("--rp_log_level", "INFO")),
    ],
)
def test_the_mode(arguments, environment, mode, rest):
    choice = choose(arguments, environment)
    assert (choice.mode, choice.arguments) == (mode, rest)
    assert choice.reason


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["serverles"], ENDPOINT, 'did you mean "serverless"?'),
        (["list"], {}, '"list" is no way to start'),
        ([], {}, "neither a RunPod worker nor a Pod"),
        ([], {"RUNPOD_SERVERLESS": "0", "SERVE_API_LOCALLY": ""}, "neither a RunPod worker nor a Pod"),
        ([], {"RUNPOD_SERVERLESS": "1", "SERVE_API_LOCALLY": "1"}, "RUNPOD_SERVERLESS and SERVE_API_LOCALLY"),
    ],
)
def test_what_says_nothing_is_refused_with_what_there_is(arguments, environment, words):
    with pytest.raises(UsageError) as caught:
        choose(arguments, environment)
    assert words in caught.value.message
    assert "set one of them" in caught.value.hint or "cli list" in caught.value.hint


def test_the_handler_says_what_to_do_where_there_is_no_queue():
    done = run_handler({"PATH": ""})
    assert done.returncode == 2
    assert "serverless (take RunPod's jobs)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_handler_runs_commands(tmp_path):
    done = run_handler({"PATH": ""}, "cli", "list", "--json")
    assert done.returncode == 0
    assert '"resize"' in done.stdout
    wrong = run_handler({"PATH": ""}, "cli", "describe", "resise")
    assert wrong.returncode == 1
    assert 'did you mean "resize"?' in wrong.stderr


def test_a_command_uses_the_comfyui_of_the_volume(tmp_path):
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "main.py").write_text("raise SystemExit('this is the one of the volume')")
    log = tmp_path / "log"
    settings = {"PATH": "", "VOLUME_PATH": str(tmp_path), "COMFY_LOG": str(log)}
    done = run_handler(settings, "cli", "run", "resize", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "this is the one of the volume" in log.read_text()
    simulated = run_handler(settings | {"COMFY_SIMULATE": "1"}, "cli", "run", "resize", "--out", str(tmp_path / "out"))
    assert simulated.returncode == 0, simulated.stderr
