"""The local API in a container: the SDK's routes, behind a token where others could reach them."""

import contextlib
import signal
import socket

import pytest
import requests
from support.worker import run_handler, running_worker, worker_environment

TOKEN = "a-token-that-is-long-enough"
RESIZE = {"input": {"workflow": "resize", "payload": {"width": 16}}}


@pytest.fixture
def port():
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serving(comfy_url, tmp_path, wait_until, port):
    """Start a worker that serves; gives the URL of its API."""
    with contextlib.ExitStack() as stack:

        def serve(**more):
            environment = worker_environment(comfy_url, SERVE_API_LOCALLY="true", API_PORT=str(port), **more)
            process = stack.enter_context(running_worker(environment, tmp_path / "log"))
            url = f"http://127.0.0.1:{port}"

            def answers():
                assert process.poll() is None, (tmp_path / "log").read_text()
                with contextlib.suppress(requests.ConnectionError):
                    return requests.get(f"{url}/openapi.json", timeout=5).status_code

            wait_until(answers)
            return url, process

        yield serve


def test_jobs_are_answered_by_http(serving, tmp_path):
    url, process = serving()
    reply = requests.post(f"{url}/runsync", json=RESIZE, timeout=60).json()
    assert reply["status"] == "COMPLETED"
    assert reply["output"]["outputs"][0]["width"] == 16
    job = requests.post(f"{url}/run", json=RESIZE, timeout=60).json()["id"]
    assert requests.post(f"{url}/status/{job}", timeout=60).json()["status"] == "COMPLETED"
    wrong = requests.post(f"{url}/runsync", json={"input": {"workflow": "resise"}}, timeout=60).json()
    assert wrong["status"] == "FAILED"
    assert 'did you mean "resize"?' in wrong["error"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_with_a_token_nobody_else_is_answered(serving):
    url, _ = serving(API_TOKEN=TOKEN)
    for headers in ({}, {"Authorization": "Bearer something-else-entirely"}, {"Authorization": TOKEN}):
        refused = requests.post(f"{url}/runsync", json=RESIZE, headers=headers, timeout=60)
        assert refused.status_code == 401
        assert "API_TOKEN" in refused.json()["error"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(f"{url}/runsync", json=RESIZE, headers=headers, timeout=60).json()["status"] == "COMPLETED"
    assert requests.get(f"{url}/", timeout=60).status_code == 401


def test_the_world_is_let_in_with_a_token_alone(comfy_url, port):
    environment = worker_environment(comfy_url, API_HOST="0.0.0.0", API_PORT=str(port))
    done = run_handler(environment, "serve")
    assert done.returncode == 1
    assert "API_TOKEN: is needed where API_HOST is 0.0.0.0" in done.stderr
    assert "openssl rand -hex 32" in done.stderr
    assert "or leave API_HOST at 127.0.0.1" in done.stderr  # and is not taken for a secret


def test_a_token_that_could_be_guessed_is_refused(comfy_url):
    done = run_handler(worker_environment(comfy_url, API_TOKEN="short"), "serve")
    assert done.returncode == 1
    assert "API_TOKEN" in done.stderr
    assert "16" in done.stderr


def test_a_port_that_is_taken_ends_it(comfy_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_handler(worker_environment(comfy_url, API_PORT=str(port)), "serve")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr
