"""The local API in a container: RunPod's routes, behind a token where others could reach them."""

import contextlib
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.worker import run_handler, running_worker, worker_environment

from engine.simulator import Simulator

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

        def serve(host="127.0.0.1", **more):
            own = {"SERVE_API_LOCALLY": "true", "API_PORT": str(port), "API_FOLDER": str(tmp_path / "kept")}
            own["OUTPUT_FOLDER"] = str(tmp_path / "results")
            environment = worker_environment(comfy_url, **own) | more
            process = stack.enter_context(running_worker(environment, tmp_path / "log"))
            url = f"http://{host}:{port}"

            def answers():
                assert process.poll() is None, (tmp_path / "log").read_text()
                with contextlib.suppress(requests.ConnectionError):
                    return requests.get(f"{url}/server", timeout=5).status_code

            wait_until(answers)
            return url, process

        yield serve


def test_jobs_are_answered_by_http(serving, tmp_path):
    url, process = serving()
    reply = requests.post(f"{url}/runsync", json=RESIZE, timeout=60).json()
    assert reply["status"] == "COMPLETED"
    assert reply["output"]["outputs"][0]["width"] == 16
    job = requests.post(f"{url}/run", json=RESIZE, timeout=60).json()["id"]
    state = "IN_QUEUE"
    while state in {"IN_QUEUE", "IN_PROGRESS"}:
        state = requests.get(f"{url}/status/{job}", timeout=60).json()["status"]
    assert state == "COMPLETED"
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
    headers = {"Authorization": f"bearer {TOKEN}"}  # the scheme counts in any case (RFC 9110, 11.1)
    assert requests.post(f"{url}/runsync", json=RESIZE, headers=headers, timeout=60).json()["status"] == "COMPLETED"
    assert requests.get(f"{url}/jobs", timeout=60).status_code == 401


def test_the_world_is_let_in_with_a_token_alone(comfy_url, port):
    environment = worker_environment(comfy_url, API_HOST="0.0.0.0", API_PORT=str(port))
    done = run_handler(environment, "serve")
    assert done.returncode == 1
    assert "API_TOKEN: is needed where API_HOST is 0.0.0.0" in done.stderr
    assert "openssl rand -hex 32" in done.stderr
    assert "or leave API_HOST at 127.0.0.1" in done.stderr  # and is not taken for a secret


@pytest.mark.parametrize(
    "token", ["short", f"{TOKEN} ", f"{TOKEN}\n", "a token of several words", "pässwörd-0123456789"]
)
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(comfy_url, token):
    done = run_handler(worker_environment(comfy_url, API_TOKEN=token), "serve")
    assert done.returncode == 1
    assert "API_TOKEN: must be at least 16 letters" in done.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "192.0.2.1"])
def test_an_address_that_is_none_of_this_machine_is_refused(comfy_url, port, host):
    done = run_handler(worker_environment(comfy_url, API_HOST=host, API_PORT=str(port), API_TOKEN=TOKEN), "serve")
    assert done.returncode == 1
    assert f"API_HOST: {host} port {port} can't be listened on" in done.stderr
    assert "give an address of this machine" in done.stderr
    assert "Traceback" not in done.stderr


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_listens_on_ipv6(serving, tmp_path, host):
    url, _ = serving("[::1]", API_HOST=host)
    assert requests.post(f"{url}/runsync", json=RESIZE, timeout=60).json()["status"] == "COMPLETED"
    assert url in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("number", "drain_seconds"), [(signal.SIGTERM, "0"), (signal.SIGINT, "600")])
def test_a_job_that_runs_when_it_ends_waits_for_the_next_start(serving, tmp_path, number, drain_seconds):
    choices = {"CheckpointLoaderSimple.ckpt_name": ["any.safetensors"]}
    with Simulator(choices=choices, step_seconds=0.1) as slow:
        url, process = serving(COMFY_URL=slow.url, DRAIN_SECONDS=drain_seconds)
        payload = {"prompt": "x", "steps": 30, "ckpt_name": "any.safetensors"}
        job = {"input": {"workflow": "txt2img", "payload": payload}}
        with ThreadPoolExecutor(1) as callers:
            reply = callers.submit(requests.post, f"{url}/runsync", json=job, timeout=60)
            while not requests.get(f"{slow.url}/queue", timeout=5).json()["queue_running"]:
                assert not reply.done(), reply.result().text
            (running,) = requests.get(f"{url}/jobs", timeout=5).json()["jobs"]
            with requests.get(f"{url}/jobs/{running['id']}/events", stream=True, timeout=60) as events:
                lines = events.iter_lines()
                told = [next(lines), next(lines)]
                process.send_signal(number)
                answered = reply.result().json()
                assert b"event: status" in [*told, *lines]  # and it ends
        assert process.wait(30) == 0
        assert (answered["id"], answered["status"]) == (running["id"], "IN_QUEUE")  # it is not lost, and no failure
        url, process = serving(COMFY_URL=slow.url)
        state = "IN_QUEUE"
        while state in {"IN_QUEUE", "IN_PROGRESS"}:
            state = requests.get(f"{url}/status/{answered['id']}", timeout=5).json()["status"]
        assert state == "COMPLETED"
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_job_may_finish_while_the_server_ends_and_its_caller_gets_it(serving):
    choices = {"CheckpointLoaderSimple.ckpt_name": ["any.safetensors"]}
    with Simulator(choices=choices, step_seconds=0.1) as slow:
        url, process = serving(COMFY_URL=slow.url, DRAIN_SECONDS="60")
        payload = {"prompt": "x", "steps": 10, "ckpt_name": "any.safetensors"}
        job = {"input": {"workflow": "txt2img", "payload": payload}}
        with ThreadPoolExecutor(1) as caller:
            reply = caller.submit(requests.post, f"{url}/runsync", json=job, timeout=60)
            while not requests.get(f"{slow.url}/queue", timeout=5).json()["queue_running"]:
                assert not reply.done(), reply.result().text
            process.send_signal(signal.SIGTERM)
            assert reply.result().json()["status"] == "COMPLETED"
        assert process.wait(30) == 0


def test_a_port_that_is_taken_ends_it(comfy_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_handler(worker_environment(comfy_url, API_PORT=str(port)), "serve")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr
