"""`engine settings`: every setting, where its value comes from, and what had better be looked at."""

import json

import pytest
from support.command import run_engine
from support.worker import run_handler, worker_environment

from engine.settings import variables


def printed(tmp_path, *arguments, status=0, **environment):
    return run_engine(tmp_path, "settings", *arguments, status=status, **environment)


def test_what_is_set_stands_first_with_the_name_it_comes_from(tmp_path):
    done = printed(
        tmp_path, BUCKET_NAME="results", TIMEOUT_SECONDS="30", COMFYS3_S3_SECRET_KEY="hush", civitai_token="hi"
    )
    chosen, _, rest = done.stdout.partition("\nBy default:\n")
    assert chosen.splitlines() == [
        "TIMEOUT_SECONDS=30",
        "CIVITAI_TOKEN=(set)  (from civitai_token)",
        "S3_BUCKET=results  (from BUCKET_NAME)",
        "S3_SECRET_ACCESS_KEY=(set)  (from COMFYS3_S3_SECRET_KEY)",
    ]
    assert "\n  QUEUE_TIMEOUT_SECONDS=600\n" in rest
    assert "TIMEOUT_SECONDS=30" not in rest
    assert "hush" not in done.stdout


def test_every_setting_is_printed_once(tmp_path):
    lines = printed(tmp_path, STORAGE="inline").stdout.splitlines()
    for variable in variables():
        assert sum(line.strip().startswith(f"{variable.names[0]}=") for line in lines) == 1, variable.names[0]


def test_nothing_set_is_said(tmp_path):
    assert printed(tmp_path).stdout.startswith("Nothing is set.\n\nBy default:\n")


def test_json_says_of_each_where_it_comes_from(tmp_path):
    done = printed(tmp_path, "--json", OUTPUT_MODE="base64", HF_TOKEN="hush", HUGGINGFACE_ACCESS_TOKEN="hush-hush")
    document = json.loads(done.stdout)
    told = {each["names"][0]: each for each in document["settings"]}
    assert {each.names[0] for each in variables()} == set(told)
    storage = told["STORAGE"]
    assert (storage["value"], storage["source"], storage["variable"]) == ("inline", "environment", "OUTPUT_MODE")
    assert (told["HF_TOKEN"]["value"], told["HF_TOKEN"]["variable"]) == ("(set)", "HUGGINGFACE_ACCESS_TOKEN")
    assert (told["API_PORT"]["value"], told["API_PORT"]["source"]) == ("8000", "default")
    (warning,) = document["warnings"]
    assert warning.startswith("HF_TOKEN is not used: HUGGINGFACE_ACCESS_TOKEN ")
    assert "hush" not in done.stdout + done.stderr


def test_warnings_stand_beside_the_settings(tmp_path):
    done = printed(tmp_path, COMFY_HOEM="/x", AWS_REGION="a", S3_REGION="b", S3_BUCKET="results")
    assert "warning: COMFY_HOEM is no setting; COMFY_HOME is" in done.stderr
    assert "warning: AWS_REGION is not used: S3_REGION " in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_contradiction_is_an_error_that_names_both(tmp_path, arguments):
    done = printed(tmp_path, *arguments, status=1, CIVITAI_TOKEN="hush", CIVITAI_API_KEY="hush-hush", BUCKET_NAME="b")
    said = done.stdout + done.stderr
    assert "CIVITAI_TOKEN" in said
    assert "remove CIVITAI_API_KEY" in said
    assert "hush" not in said


def test_a_worker_says_at_its_start_what_had_better_be_looked_at(comfy_url):
    environment = worker_environment(comfy_url, S3_BUKET="results", HF_TOKEN="hush", HUGGINGFACE_TOKEN="hush-hush")
    done = run_handler(environment, "--test_input", '{"input": {"action": "list"}}')
    assert done.returncode == 0, done.stderr
    assert "S3_BUKET is no setting; S3_BUCKET is" in done.stderr
    assert "HF_TOKEN is not used: HUGGINGFACE_TOKEN" in done.stderr
    assert "hush" not in done.stderr + done.stdout


def test_a_command_in_a_pods_terminal_finds_the_volume_as_the_worker_does(tmp_path):
    chosen = printed(tmp_path, RUNPOD_POD_ID="p").stdout.partition("\nBy default:\n")[0]
    assert chosen == "VOLUME_PATH=/workspace  (found: where a Pod has it)\n"
