"""docs/deploy.md's form and commands: no field is left out, and what is run in an image does what is said."""

import json
import re
import shlex

import pytest
from support.command import run_engine
from support.pages import tables_of
from support.worker import run_handler, worker_environment
from support.workflows import ROOT

from engine.settings import variables

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
TABLES = tables_of(DEPLOY)
DEFAULTS = {variable.names[0]: variable.default for variable in variables()}
# RunPod's names of them: https://docs.runpod.io/serverless/endpoints/endpoint-configurations
FIELDS = {
    *("Endpoint Type", "GPU configuration", "Active (min) workers", "Max workers", "GPUs per worker", "Idle timeout"),
    *(
        "Execution timeout",
        "Auto-scaling type",
        "FlashBoot",
        "Model",
        "Container disk",
        "Container registry credentials",
    ),
    *("Container start command", "Expose HTTP/TCP ports", "Network volumes (Advanced)", "Data centers (Advanced)"),
    *("CUDA versions (Advanced)", "Environment variables"),
}
FIELDS_OF_A_POD = {
    *("Container Image", "Container Start Command", "Container Disk", "Network Volume, Volume Mount Path"),
    *("Expose HTTP Ports", "Environment Variables"),
}


@pytest.mark.parametrize(("table", "fields"), [("The form", FIELDS), ("A Pod instead", FIELDS_OF_A_POD)])
def test_every_field_that_matters_has_a_value(table, fields):
    values = {row[0]: row[1] for row in TABLES[table] if len(row) > 1}
    assert fields <= values.keys()
    assert all(values[field] for field in fields)


def test_the_image_and_the_place_of_the_volume_are_told():
    assert "**Container Image**: `docker.io/YOU/workflows:1.0.0`" in DEPLOY
    (volumes,) = [row for row in TABLES["The form"] if row[0] == "Network volumes (Advanced)"]
    assert f"it is `{DEFAULTS['VOLUME_PATH']}`" in volumes[2]


def runs_of_the_image():
    """Each `docker run` of the page that can be tried: its variables, and what stands behind the image's name."""
    for line in re.sub(r"\\\n\s*", "", DEPLOY).splitlines():
        if line.startswith("docker run --rm "):
            words = shlex.split(line)[3:]
            given = {}
            while words[0] == "-e":
                name, _, value = words[1].partition("=")
                given[name] = value
                words = words[2:]
            yield pytest.param(given, words[1:], id=words[1])


@pytest.mark.parametrize(("given", "arguments"), list(runs_of_the_image()))
def test_what_is_run_in_an_image_without_models_works_on_a_machine_without_a_volume(given, arguments, tmp_path):
    assert "--build-arg MODELS=volume -t YOU/workflows:1.0.0" in DEPLOY
    of_the_image = {"VOLUME_REQUIRED": "true", "VOLUME_PATH": str(tmp_path / "none"), "VOLUME_WAIT_SECONDS": "1"}
    done = run_handler(worker_environment("") | of_the_image | given, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resize" in done.stdout
    assert "failed" not in done.stdout


FIRST_REQUESTS = [row[0] for row in TABLES["The form"] if row[0].startswith('`{"input"')]


@pytest.mark.parametrize("request_", FIRST_REQUESTS)
def test_a_first_request_is_answered(request_):
    done = run_handler(worker_environment("", COMFY_SIMULATE="1"), "--test_input", request_.strip("`"))
    assert done.returncode == 0, done.stderr
    assert "completed successfully" in done.stdout


def test_no_command_and_no_first_request_is_left_out():
    assert (len(list(runs_of_the_image())), len(FIRST_REQUESTS)) == (2, 3)


@pytest.mark.parametrize(
    ("quoted", "variable"),
    [
        ("waiting up to {} s for", "VOLUME_WAIT_SECONDS"),
        ("did not finish within {} s", "TIMEOUT_SECONDS"),
        ("for the default {}", "TIMEOUT_SECONDS"),
        ("made no progress for {} s", "STALL_SECONDS"),
    ],
)
def test_a_number_in_a_message_is_the_default(quoted, variable):
    assert quoted.format(f"{float(DEFAULTS[variable]):g}") in DEPLOY


ON_RUNPOD = {"RUNPOD_ENDPOINT_ID": "x", "RUNPOD_WEBHOOK_GET_JOB": "http://127.0.0.1:9/never-asked?"}


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        (["/start.sh"], {}),
        ([], {}),
        ([], ON_RUNPOD),
        ([], ON_RUNPOD | {"TIMEOUT_SECONDS": "ten"}),
    ],
    ids=["start command", "nothing", "no ComfyUI", "a wrong variable"],
)
def test_what_a_worker_says_that_does_not_start_is_in_the_troubleshooting(arguments, own, tmp_path):
    environment = worker_environment("", VOLUME_PATH=str(tmp_path), **own)
    said = run_handler(environment, *arguments).stderr
    rows = TABLES["The worker is unhealthy, or initializes for ever"]
    quoted = [text for row in rows for text in re.findall(r"`([^`]{15,})`", row[0])]
    assert [text for text in quoted if text in said], said


def test_a_message_of_the_disk_and_of_workflows_is_the_checks():
    source = (ROOT / "engine" / "fitness.py").read_text()
    for quoted in ("no workflow loads", "there is no workflow", "bytes free, and jobs need"):
        assert f"`{quoted}`" in DEPLOY
        assert quoted in source.replace(" {least_bytes:,}", "")


def test_what_the_build_says_of_a_model_without_an_address_is_what_is_printed(tmp_path):
    (row,) = [row for row in TABLES["The build fails"] if "could be fetched" in row[0]]
    assert row[0].strip("`") in (ROOT / "docker" / "fetch-models.sh").read_text()
    for folder in ("templates", "schemas"):
        (tmp_path / folder).mkdir()
    (tmp_path / "templates" / "mine.json").write_bytes((ROOT / "templates" / "txt2img.json").read_bytes())
    drafted = json.loads((ROOT / "schemas" / "txt2img.json").read_text())
    drafted["requires"]["models"][0] |= {"url": None}
    (tmp_path / "schemas" / "mine.json").write_text(json.dumps(drafted))
    into = tmp_path / "into"
    done = run_engine(tmp_path, "models", "fetch", "--into", into, status=1, WORKFLOWS_PATH=str(tmp_path))
    assert re.search(r"as `(.+?)`", row[1])[1] in done.stdout + done.stderr


def test_the_repository_that_the_page_puts_into_runpods_cache_has_all_that_the_workflows_require():
    said = r"`([\w.-]+/[\w.-]+)` in \*\*Model\*\* is all that `(\w+)` and\n`(\w+)` need"
    repository, *names = re.search(said, DEPLOY).groups()
    for name in names:
        required = json.loads((ROOT / "schemas" / f"{name}.json").read_text())["requires"]["models"]
        assert required
        assert all(each["url"].startswith(f"https://huggingface.co/{repository}/resolve/") for each in required)


def test_the_container_disk_of_the_hub_has_room_for_baked_models():
    disk = next(row[1] for row in TABLES["The form"] if row[0] == "Container disk")
    least = int(re.match(r"(\d+) GB; with `MODELS=baked` \1 GB and the size of the models", disk)[1])
    assert "ARG MODELS=baked" in (ROOT / "Dockerfile").read_text()
    assert json.loads((ROOT / ".runpod" / "hub.json").read_text())["config"]["containerDiskInGb"] > least
