"""docs/deploy.md and docs/scaling.md are true: their calls work, and what they name is there."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys

import jsonschema
import pytest
import requests
import yaml
from PIL import Image
from support.command import ENGINE, NODE
from support.hub_formats import HUB
from support.runpod_api import API_KEY, serve_runpod_api
from support.runpod_queue import ENDPOINT_ID, serve_runpod_queue
from support.s3 import free_port, serve_s3
from support.worker import running_worker, worker_environment
from support.workflows import ROOT

from engine.errors import error_classes
from engine.settings import variables

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
PAGES = {"deploy": DEPLOY, "scaling": SCALING}
RUNPODS_API = "https://api.runpod.ai/v2"
INTERPRETERS = {"sh": ["sh", "-e"], "python": [sys.executable], "javascript": [NODE]}
SUFFIXES = {"sh": "sh", "python": "py", "javascript": "mjs"}

# RunPod's own variables, and what stands in capitals without being one: states of a job, pools of GPUs.
RUNPODS = {"RUNPOD_INIT_TIMEOUT"}
STATES = {"IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "TIMED_OUT"}
# Of a payload, a map or a health report, and folders of models: no codes of failures.
NO_CODES = {"batch_size", "ckpt_name", "timeout_seconds", "vram_free_bytes", "vram_total_bytes"}
NO_CODES |= {"diffusion_models", "text_encoders"}
POOLS = {"AMPERE_16", "AMPERE_24", "ADA_24", "AMPERE_48", "ADA_48_PRO", "AMPERE_80", "ADA_80_PRO", "HOPPER_141"}


def section(title, page=DEPLOY):
    """A page's text below a title, up to the next one of the same rank or a higher one."""
    start = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    end = re.search(rf"^#{{2,{len(start[1])}}} ", page[start.end() :], re.MULTILINE)
    return page[start.end() : start.end() + end.start()] if end else page[start.end() :]


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def execute(language, text, folder, **environment):
    """Run an example as its reader would: saved to a file, in a folder of its own."""
    program = INTERPRETERS[language][0]
    for needed in {program, "curl"} if language == "sh" else {program}:
        if not shutil.which(needed):
            pytest.skip(f"needs {needed} on the PATH")
    script = folder / f"call.{SUFFIXES[language]}"
    script.write_text(text, encoding="utf-8")
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120 - the interpreter's, links unfollowed
    return subprocess.run(
        [*INTERPRETERS[language], str(script)],
        env={"PATH": path, "HOME": str(folder), "NO_PROXY": "127.0.0.1"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def api(comfy_url, tmp_path_factory):
    """An endpoint, behind what stands for RunPod's API, with a worker that has no bucket."""
    with serve_runpod_queue() as queue, serve_runpod_api(queue) as api:
        log = tmp_path_factory.mktemp("worker") / "log"
        with running_worker(worker_environment(comfy_url, **queue.environment()), log):
            yield api


@pytest.fixture
def call(api, tmp_path):
    """Run an example against that endpoint."""

    def call(language, text, *, key=API_KEY, endpoint=ENDPOINT_ID):
        assert RUNPODS_API in text or "runpod.Endpoint" in text
        environment = {"RUNPOD_API_KEY": key, "ENDPOINT_ID": endpoint, "RUNPOD_ENDPOINT_BASE_URL": api.url}
        return execute(language, text.replace(RUNPODS_API, api.url), tmp_path, **environment)

    return call


PROGRAMS = {
    "Python, with requests": "python",
    "Python, with the runpod client": "python",
    "JavaScript": "javascript",
}


def program(title):
    (text,) = blocks(PROGRAMS[title], section(title))
    return text


def test_no_example_is_left_out():
    calls = section("Call the endpoint")
    shown = sum(len(blocks(language, calls)) for language in INTERPRETERS)
    variables_and_failure = 2
    assert shown == len(blocks("sh", section("curl"))) + len(PROGRAMS) + variables_and_failure


def test_the_call_by_curl_that_waits_prints_the_result(call):
    done = call("sh", blocks("sh", section("curl"))[0])
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert reply["status"] == "COMPLETED"
    assert reply["output"]["outputs"][0]["width"] == 256


def test_the_calls_by_curl_start_a_job_ask_for_it_stop_it_and_ask_how_the_endpoint_is(call, api):
    before = len(api.requests)
    done = call("sh", blocks("sh", section("curl"))[1])
    assert done.returncode == 0, done.stderr
    state, stopped, health = documents(done.stdout)
    assert state["id"] == stopped["id"]
    assert stopped["status"] == "CANCELLED"
    assert {"jobs", "workers"} <= set(health)
    endpoint, job = f"/v2/{ENDPOINT_ID}", state["id"]
    asked = [f"POST {endpoint}/run", f"GET {endpoint}/status/{job}", f"POST {endpoint}/cancel/{job}"]
    assert api.requests[before:] == [*asked, f"GET {endpoint}/health"]


def documents(text):
    """The JSON documents that were printed one after the other."""
    found = []
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_program_prints_what_it_got(title, call, tmp_path):
    done = call(PROGRAMS[title], program(title))
    assert done.returncode == 0, done.stderr
    name = done.stdout.strip()
    assert re.fullmatch(r"resize_\d+_\.png", name)
    if "writeFile" in program(title) or "write_bytes" in program(title):
        assert width_of(tmp_path / name) == 256


def width_of(file):
    with Image.open(file) as picture:
        return picture.width


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_program_says_why_a_job_failed(title, call):
    done = call(PROGRAMS[title], program(title).replace("width", "widht"))
    assert done.returncode == 1
    assert "FAILED: invalid_payload: " in done.stderr
    assert 'did you mean "width"?' in done.stderr


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_program_says_that_its_key_is_wrong(title, call):
    done = call(PROGRAMS[title], program(title), key="rpa_ANOTHER")
    assert done.returncode == 1
    assert "401" in done.stderr


@pytest.mark.parametrize("title", ["Python, with requests", "JavaScript"])
def test_a_program_gives_the_link_where_there_is_a_bucket(title, comfy_url, tmp_path):
    with contextlib.ExitStack() as stack:
        bucket = stack.enter_context(serve_s3(tmp_path / "bucket"))
        queue = stack.enter_context(serve_runpod_queue())
        api = stack.enter_context(serve_runpod_api(queue))
        environment = {
            "S3_BUCKET": bucket.bucket,
            "S3_ENDPOINT_URL": bucket.endpoint_url,
            "S3_ACCESS_KEY_ID": bucket.access_key_id,
            "S3_SECRET_ACCESS_KEY": bucket.secret_access_key,
        }
        worker = worker_environment(comfy_url, **queue.environment(), **environment)
        stack.enter_context(running_worker(worker, tmp_path / "log"))
        caller = {"RUNPOD_API_KEY": API_KEY, "ENDPOINT_ID": ENDPOINT_ID}
        text = program(title).replace(RUNPODS_API, api.url)
        done = execute(PROGRAMS[title], text, tmp_path, **caller)
        assert done.returncode == 0, done.stderr
        answer = requests.get(done.stdout.strip(), timeout=20)
        assert width_of(io.BytesIO(answer.content)) == 256


@pytest.mark.parametrize("title", ["Python, with requests", "JavaScript"])
def test_a_program_asks_again_where_runpod_is_busy(title, call, api):
    api.busy = 2
    done = call(PROGRAMS[title], program(title))
    assert done.returncode == 0, done.stderr
    assert api.busy == 0


@pytest.mark.parametrize(
    ("title", "time", "said"),
    [
        ("Python, with requests", "seconds=900", "TimeoutError: job-1 is still IN_QUEUE"),
        ("Python, with the runpod client", "timeout=900", "TimeoutError"),
        ("JavaScript", "seconds = 900", "Error: job-1 is still IN_QUEUE"),
    ],
)
def test_a_program_gives_up_after_its_time_and_stops_the_job(title, time, said, tmp_path):
    """With no worker on the endpoint, as when max workers is 0."""
    with serve_runpod_queue() as queue, serve_runpod_api(queue) as idle:
        assert program(title).count(time) == 1
        text = program(title).replace(RUNPODS_API, idle.url).replace(time, time.replace("900", "1"))
        caller = {"RUNPOD_API_KEY": API_KEY, "ENDPOINT_ID": ENDPOINT_ID, "RUNPOD_ENDPOINT_BASE_URL": idle.url}
        done = execute(PROGRAMS[title], text, tmp_path, **caller)
        assert done.returncode == 1
        assert said in done.stderr
        assert queue.waiting() == []


def test_what_a_wrong_payload_gives_is_as_the_page_shows_it(call):
    failing = section("When it fails")
    (text,), (shown,) = blocks("sh", failing), blocks("json", failing)
    done = call("sh", text)
    reply, expected = json.loads(done.stdout), json.loads(shown)
    assert (reply["status"], reply["error"]) == (expected["status"], expected["error"])
    assert expected["output"]["failure"].items() <= reply["output"]["failure"].items()


def test_the_statuses_that_the_page_tells_of_are_those_of_the_api(call, api):
    for path, key, status in (
        (f"{ENDPOINT_ID}/status/nothing", API_KEY, 404),
        ("another/health", API_KEY, 404),
        (f"{ENDPOINT_ID}/health", "rpa_ANOTHER", 401),
    ):
        answer = requests.get(f"{api.url}/{path}", headers={"Authorization": f"Bearer {key}"}, timeout=20)
        assert answer.status_code == status
        assert f"| HTTP {status} |" in DEPLOY


def test_a_pod_answers_the_call_that_the_page_shows_and_no_call_without_its_token(comfy_url, tmp_path, wait_until):
    (text,) = blocks("sh", section("A Pod instead"))
    port, token = free_port(), "a-token-of-the-pod"
    own = {"RUNPOD_POD_ID": "pod", "API_TOKEN": token, "API_PORT": str(port), "API_HOST": "0.0.0.0"}
    own |= {"API_FOLDER": str(tmp_path / "kept"), "OUTPUT_FOLDER": str(tmp_path / "results")}
    with running_worker(worker_environment(comfy_url, **own), tmp_path / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: listens(url))
        text = text.replace("https://$POD_ID-8000.proxy.runpod.net", url)
        done = execute("sh", text, tmp_path, API_TOKEN=token)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["output"]["outputs"][0]["width"] == 256
        refused = execute("sh", text, tmp_path, API_TOKEN="another-token-of-the-pod")
        assert "output" not in refused.stdout
        body = {"input": {"action": "list"}}
        assert requests.post(f"{url}/runsync", json=body, timeout=20).status_code == 401


def listens(url):
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    return True


def test_the_first_command_of_the_page_runs():
    text = blocks("sh", section("Before you begin"))[0]
    environment = worker_environment("") | {"COMFY_SIMULATE": "1"}
    environment["PATH"] = f"{os.path.dirname(sys.executable)}:{environment['PATH']}"  # noqa: PTH120 - as above
    done = subprocess.run(
        ["sh", "-e", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "txt2img" in done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_and_build_arguments_that_a_page_names_exist(page):
    known = {name for variable in variables() for name in variable.names}
    known |= set(arguments_of_the_image())
    named = set(re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*)(?:=[^`]*)?`", PAGES[page]))
    named |= set(re.findall(r"(?:-e|--build-arg) ([A-Z][A-Z0-9_]+)", PAGES[page]))
    assert not named - known - RUNPODS - STATES - POOLS - {"OWNER", "REPOSITORY", "KIND"}


def arguments_of_the_image():
    return re.findall(r"^ARG ([A-Z_]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_build_arguments_of_the_page_are_those_of_the_dockerfile():
    listed = re.findall(r"^\| `([A-Z_]+)` \|", section("Build arguments"), re.MULTILINE)
    assert listed
    assert set(listed) <= set(arguments_of_the_image())
    assert set(re.findall(r"--build-arg ([A-Z_]+)=", DEPLOY)) <= set(listed)
    dockerfile = (ROOT / "Dockerfile").read_text()
    for secret in re.findall(r"--secret id=(\w+)", DEPLOY):
        assert f"type=secret,id={secret}" in dockerfile


def commands_of_the_engine():
    """What the pages run: `engine models list`, and `docker run … IMAGE cli list`, which is the same command."""
    text = DEPLOY + SCALING
    found = re.findall(r"`(?:VOLUME_PATH=\S+ )?engine ([a-z]+(?: [a-z]+)?)", text) + re.findall(r" cli ([a-z]+)", text)
    return sorted(set(found))


@pytest.mark.parametrize("command", commands_of_the_engine())
def test_a_command_of_the_pages_exists(command):
    words = command.split()
    if words[0] not in ("models", "nodes", "snapshot"):
        words = words[:1]
    done = subprocess.run([ENGINE, *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: engine {' '.join(words)}")


def test_the_options_of_the_pages_commands_exist():
    described = subprocess.run([ENGINE, "describe", "--help"], capture_output=True, text=True, timeout=60, check=False)
    for language in ("curl", "python", "javascript"):
        assert language in described.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_files_and_folders_that_a_page_names_exist(page):
    endings = "json|md|hcl|yml|yaml|py|png|overlay"
    named = re.findall(rf"`((?:\.?[\w-]+/)+|\.?[\w./-]+\.(?:{endings})|Dockerfile)`", PAGES[page])
    # In ComfyUI, and the folder that stands for a volume, which the first start makes.
    elsewhere = {"models/", "volume/"}
    assert not [name for name in named if name not in elsewhere and not (ROOT / name).exists()]


def test_the_compose_profiles_and_make_targets_of_the_pages_exist():
    text = (ROOT / "docker-compose.yml").read_text()
    services = yaml.safe_load(text)["services"].values()
    profiles = {profile for service in services for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", DEPLOY)) == {"cpu", "gpu"}
    assert {"cpu", "gpu"} <= profiles
    for told in ("${API_TOKEN:", "127.0.0.1:8000:", "./volume:"):
        assert told in text
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)", DEPLOY + SCALING):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_messages_that_the_page_quotes_are_the_workers():
    source = "\n".join(path.read_text() for path in (ROOT / "engine").rglob("*.py"))
    for quoted, in_the_source in (
        ("waiting up to 60 s for", "waiting up to %g s for"),
        ("the worker can't start: invalid_settings", "the worker can't start: %s"),
        ("is not on this worker; available:", "is not on this worker"),
        ("the job did not finish within 600 s", "the job did not finish within"),
        ("the job made no progress for 300 s", "the job made no progress for"),
        ("no kernel image is available", "no kernel image is available"),
        ("there is no GPU that works", "there is no GPU that works"),
        ("there is no ComfyUI", "there is no ComfyUI"),
    ):
        assert quoted in DEPLOY
        assert in_the_source in source, in_the_source
    codes = {each.code for each in error_classes()}
    quoted = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)[:`]", DEPLOY)) - NO_CODES
    assert quoted
    assert quoted <= codes


def test_with_the_line_for_the_icon_the_hubs_file_is_still_of_its_format():
    (line,) = [each for each in blocks("json", section("On RunPod's Hub")) if "iconUrl" in each]
    text = (ROOT / ".runpod" / "hub.json").read_text(encoding="utf-8")
    changed = json.loads(re.sub(r'^  "category": .*\n', lambda found: f"{found[0]}  {line}", text, flags=re.MULTILINE))
    assert changed["iconUrl"].startswith("https://")
    assert (ROOT / changed["iconUrl"].partition("/main/")[2]).is_file()
    jsonschema.validate(changed, HUB)


def test_the_defaults_that_the_page_tells_are_the_settings():
    defaults = {variable.names[0]: variable.default for variable in variables()}
    assert f"`RESPONSE_LIMIT_BYTES` ({int(defaults['RESPONSE_LIMIT_BYTES']) / 1e6:g} MB)" in DEPLOY
    assert defaults["API_PORT"] in section("A Pod instead")
