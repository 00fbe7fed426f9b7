"""The worker's log as an operator sees it: stderr, the file on the volume, and the SDK's own lines."""

import base64
import io
import json
import subprocess
import sys

import pytest
from PIL import Image
from support.worker import run_handler, worker_environment

SECRET = "a-secret-of-the-operator"


def resize(**payload):
    return json.dumps({"id": "job-1", "input": {"workflow": "resize", "payload": payload}})


@pytest.fixture(scope="module")
def picture():
    content = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def own_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"') and '"logger"' in line]


def test_a_job_as_json_lines_on_stderr_and_in_the_file(comfy_url, tmp_path, picture):
    path = tmp_path / "logs" / "worker.log"
    environment = worker_environment(
        comfy_url, LOG_FORMAT="json", LOG_PATH=str(path), COMFY_ORG_API_KEY=SECRET, RUNPOD_POD_ID="pod-7"
    )
    done = run_handler(environment, "--test_input", resize(image=picture, width=32))
    assert done.returncode == 0
    lines = own_lines(done.stderr)
    of_the_job = [line["message"] for line in lines if line.get("job_id") == "job-1"]
    assert (of_the_job[0], of_the_job[-1]) == ("job taken", "job done")
    assert of_the_job.count("job done") == 1
    (end,) = (line for line in lines if line["message"] == "job done")
    assert {"fetch", "queue", "execute", "store", "total"} <= set(end)
    assert (end["workflow"], end["outputs"]) == ("resize", 1)
    kept = own_lines(path.read_text())
    assert {line.pop("worker") for line in kept} == {"pod-7"}
    # Those are told beside the job, and the end of the process may come between the one place and the other.
    beside = "a workflow is not ready"
    assert [line for line in kept if line["message"] != beside] == [line for line in lines if line["message"] != beside]
    assert picture not in done.stderr + path.read_text()


@pytest.mark.parametrize("level", ["DEBUG", "WARNING", "ERROR"])
def test_no_level_shows_results_or_stops_the_worker(comfy_url, picture, level):
    environment = worker_environment(comfy_url, LOG_LEVEL=level)
    done = run_handler(environment, "--test_input", resize(image=picture, width=32))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert picture[:200] not in done.stderr
    # The SDK prints the reply of a --test_input once, and at its own DEBUG another two times.
    assert done.stdout.count('"base64"') + done.stdout.count("'base64'") <= 1


def test_a_log_file_that_can_not_be_written_costs_a_warning(comfy_url, tmp_path):
    (tmp_path / "file").write_text("")
    environment = worker_environment(comfy_url, LOG_PATH=str(tmp_path / "file" / "log"))
    done = run_handler(environment, "--test_input", resize(width=9))
    assert done.returncode == 0
    assert done.stderr.count("can't be written") == 1
    assert " job done " in done.stderr


PROGRAM = """
import logging, threading, warnings
from engine.logs.setup import configure
from engine.settings import Settings
configure(Settings(comfy_org_api_key="a-secret-of-the-operator"))
configure(Settings(comfy_org_api_key="a-secret-of-the-operator"))
warnings.warn("it is a-secret-of-the-operator")
thread = threading.Thread(target=lambda: {}["a-secret-of-the-operator"], name="worker-thread")
thread.start()
thread.join()
logging.getLogger("some.library").warning("it is %s", "a-secret-of-the-operator")
"""


def test_lines_of_python_and_of_libraries_are_lines_of_the_log():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second, third = done.stderr.splitlines()
    assert SECRET not in done.stderr
    assert "UserWarning: it is ***" in first
    assert "a thread ended by an exception" in second
    assert "thread=worker-thread" in second
    assert "KeyError" in second
    assert third.endswith(" WARNING it is *** logger=some.library")
