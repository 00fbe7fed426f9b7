"""RunPod's routes on the local server, as the platform's own client and its documentation use them."""

import contextlib

import pytest
import requests
import runpod

LONG = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "steps": 150, "seed": 1}}
SHORT = {"workflow": "resize", "payload": {"color": "#336699", "width": 64}}


@pytest.fixture(scope="module")
def server(playground):
    return playground(step_seconds=0.02, DRAIN_SECONDS="0")


@pytest.fixture
def endpoint(server, monkeypatch):
    """The platform's client, told nothing but its base URL."""
    monkeypatch.setattr(runpod, "endpoint_url_base", f"{server.url}/v2")
    endpoint = runpod.Endpoint("any-name", api_key="no-key-is-needed")
    with contextlib.closing(endpoint.rp_client.rp_session):
        yield endpoint


def test_the_runpod_client_runs_a_job_and_gets_its_output(endpoint):
    job = endpoint.run(SHORT)
    output = job.output(timeout=30)
    assert job.status() == "COMPLETED"
    assert output["outputs"][0]["width"] == 64
    assert requests.get(output["outputs"][0]["url"], timeout=10).content.startswith(b"\x89PNG")


def test_its_run_sync_waits_and_a_failure_is_an_output(endpoint):
    assert endpoint.run_sync(SHORT, timeout=30)["workflow"] == "resize"
    failed = endpoint.run_sync({"workflow": "resise", "payload": {}}, timeout=30)
    assert failed["failure"]["code"] == "unknown_workflow"


def test_its_stream_gives_progress_then_the_result_and_comes_to_an_end(endpoint):
    job = endpoint.run({"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "steps": 60, "seed": 1}})
    chunks = list(job.stream())
    assert chunks[-1]["outputs"][0]["content_type"] == "image/png"
    fractions = [each["fraction"] for each in chunks[:-1]]
    assert fractions
    assert fractions == sorted(fractions)


def test_it_cancels_a_job_that_runs_and_purges_those_that_wait(endpoint, server, wait_until):
    running = endpoint.run(LONG)
    waiting = [endpoint.run(LONG) for _ in range(3)]
    wait_until(lambda: endpoint.rp_client.get(f"any-name/status/{running.job_id}").get("output"))  # its progress
    jobs = endpoint.health()["jobs"]
    assert set(jobs) == {"completed", "failed", "inProgress", "inQueue", "retried"}
    assert (jobs["inProgress"], jobs["inQueue"], jobs["retried"]) == (1, 3, 0)
    assert endpoint.purge_queue() == {"removed": 3, "status": "completed"}
    assert [job.status() for job in waiting] == ["CANCELLED"] * 3
    assert running.cancel() == {"id": running.job_id, "status": "CANCELLED"}
    assert running.status() == "CANCELLED"
    with pytest.raises(requests.HTTPError, match="409"):  # not a stream without an end: the client knows no such state
        list(running.stream())
    wait_until(lambda: endpoint.health()["workers"]["idle"] == 1)


def test_a_wait_that_is_over_gives_the_job_as_it_stands(server, wait_until):
    begun = requests.post(f"{server.url}/runsync?wait=1000", json={"input": LONG}, timeout=30).json()
    assert begun["status"] == "IN_PROGRESS"
    assert set(begun["output"]) >= {"node", "step", "steps", "fraction"}
    assert requests.post(f"{server.url}/status/{begun['id']}", timeout=30).json()["id"] == begun["id"]
    requests.post(f"{server.url}/cancel/{begun['id']}", timeout=30)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/status/nothing", None, 404, "unknown_job"),
        ("GET", "/v2/any/stream/nothing", None, 404, "unknown_job"),
        ("POST", "/cancel/nothing", None, 404, "unknown_job"),
        ("POST", "/run", None, 400, "not_json"),
        ("POST", "/v2/any/run", b"{", 400, "not_json"),
        ("POST", "/run", b"[]", 422, "invalid_request"),
        ("POST", "/runsync", b"{}", 422, "invalid_request"),
        ("POST", "/runsync?wait=999", b'{"input": {}}', 422, "invalid_request"),
        ("POST", "/runsync?wait=300001", b'{"input": {}}', 422, "invalid_request"),
        ("GET", "/run", None, 405, "wrong_method"),
        ("GET", "/v2/any/nothing", None, 404, "no_such_page"),
    ],
)
def test_what_is_wrong_is_said_in_a_failures_document(server, method, path, body, status, code):
    answer = requests.request(method, f"{server.url}{path}", data=body, timeout=10)
    assert answer.status_code == status
    document = answer.json()
    assert document["failure"]["code"] == code
    assert document["error"].startswith(f"{code}: ")
    assert ("Allow" in answer.headers) == (status == 405)
