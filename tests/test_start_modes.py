"""What a container does: by its first argument, else by what the environment says of the place."""

import pytest
from support.worker import run_handler

from engine.errors import UsageError
from engine.starting.modes import check_jobs, choose

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


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["serve", "--port", "9000"], {}, 'serve takes no arguments (got "--port 9000")'),
        (["--rp_api_port", "9000"], POD, "serve takes no arguments"),
        (["--test_input", "{bad"], {}, "--test_input is no JSON"),
        (["--test_input"], {}, "--test_input is no JSON"),
        (["--test_input=[1]"], {}, "holds no job"),
        (["--test_input", '{"workflow": "resize"}'], {}, "holds no job"),
        (["serverless"], ENDPOINT, "there is no queue"),
        ([], {"RUNPOD_SERVERLESS": "1"}, "there is no queue"),
    ],
)
def test_what_could_get_no_job_is_refused_before_anything_is_started(tmp_path, arguments, environment, words):
    choice = choose(arguments, environment)
    with pytest.raises(UsageError) as caught:
        check_jobs(choice, environment, tmp_path)
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["serve"], {}),
        (["cli", "run", "--port", "9"], {}),
        (["--test_input", '{"input": {}}'], {}),
        (['--test_input={"input": {}}'], {}),
        (["--rp_serve_api"], {}),
        (["serverless", "--rp_log_level", "INFO"], {"RUNPOD_WEBHOOK_GET_JOB": "http://x/?"}),
    ],
)
def test_what_can_get_jobs_starts(tmp_path, arguments, environment):
    check_jobs(choose(arguments, environment), environment, tmp_path)


def test_the_sdk_reads_a_job_from_a_file(tmp_path):
    (tmp_path / "test_input.json").write_text("{}")
    check_jobs(choose(["serverless"], {}), {}, tmp_path)


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


def test_the_mode_may_be_spelt_in_small_letters():
    assert run_handler({"PATH": "", "serve_api_locally": "true"}, "--port", "9").stderr.startswith(
        "invalid_request: serve takes no arguments"
    )
