"""`/mcp` of a real local server, with the library's own client, on a simulator that is slow enough to be watched."""

import contextlib
import io
import threading

import httpx2
import pytest
import requests
from mcp.client.streamable_http import streamable_http_client
from PIL import Image
from support.agent import blocks, connected, picture
from support.media import picture as small_file

TOKEN = "a-token-of-the-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SMALL = {"prompt": "a harbour", "width": 64, "height": 64}


@pytest.fixture(scope="module")
def server(playground):
    return playground(step_seconds=0.05, API_TOKEN=TOKEN)


@contextlib.asynccontextmanager
async def with_token(url):
    async with (
        httpx2.AsyncClient(headers=HEADERS, timeout=60) as http_client,
        streamable_http_client(url, http_client=http_client) as streams,
    ):
        yield streams


@pytest.fixture(scope="module", params=["legacy", "auto"])
def agent(server, request):
    """A client of the protocol with sessions, and one of the newest, which has none."""
    with connected(with_token(f"{server.url}/mcp"), request.param) as agent:
        yield agent


def jobs(server, **query):
    return requests.get(f"{server.url}/jobs", params=query, headers=HEADERS, timeout=20).json()["jobs"]


def test_a_call_goes_through_the_queue_and_its_picture_comes_back(server, agent):
    told = []
    result = agent.call("txt2img", {**SMALL, "width": 1280, "steps": 6, "seed": 7}, lambda *each: told.append(each))
    assert not result.is_error, result.content
    assert picture(blocks(result, "image")[0])[0] == (1024, 51)
    assert any(f"step {step} of 6" in each[2] for each in told for step in range(1, 7))
    assert [each[0] for each in told] == sorted({each[0] for each in told})
    (output,) = result.structured_content["outputs"]
    assert "path" not in output
    (link,) = blocks(result, "resource_link")
    assert link.uri == output["url"]
    found = requests.get(link.uri, timeout=20)  # the link is signed: whoever has it needs no token
    with Image.open(io.BytesIO(found.content)) as whole:
        assert whole.size == (1280, 64)
    newest = jobs(server)[0]
    assert (newest["workflow"], newest["status"], newest["payload"]["seed"]) == ("txt2img", "COMPLETED", 7)


def test_a_file_that_was_sent_before_is_named_in_a_call(server, agent):
    kept = requests.post(
        f"{server.url}/files", files={"file": ("cat.png", small_file((64, 32)))}, headers=HEADERS, timeout=20
    ).json()["files"][0]["name"]
    result = agent.call("resize", {"image": kept, "width": 32, "height": 0})
    assert not result.is_error, result.content
    assert picture(blocks(result, "image")[0])[0] == (32, 16)


def test_what_is_wrong_is_told_before_anything_is_queued(server, agent):
    before = [each["id"] for each in jobs(server)]
    result = agent.call("txt2img", {"prompt": "a harbour", "steps": 500})
    assert result.is_error
    assert "steps: must be at most 150 (got 500)" in result.content[0].text
    assert [each["id"] for each in jobs(server)] == before


def test_a_call_that_is_cancelled_is_a_job_that_is_cancelled(server, agent, wait_until):
    at_it = threading.Event()
    future = agent.begin(
        "txt2img", {**SMALL, "steps": 150}, lambda _progress, _total, words: at_it.set() if "step" in words else None
    )
    assert at_it.wait(30)
    future.cancel()
    wait_until(lambda: jobs(server)[0]["status"] == "CANCELLED")


def test_a_client_with_a_session_is_told_that_it_hears_of_changes(server):
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    more = {"Accept": "application/json, text/event-stream"}
    answer = requests.post(f"{server.url}/mcp", json=asked, headers=more | HEADERS, timeout=20)
    assert '"tools":{"listChanged":true}' in answer.text


def test_nobody_gets_in_without_the_token_or_from_another_site(server):
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    more = {"Accept": "application/json, text/event-stream"}
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer another-token-of-nobody"}, 401),
        (HEADERS | {"Origin": "https://elsewhere.example.com"}, 403),
    ):
        answer = requests.post(f"{server.url}/mcp", json=asked, headers=more | headers, timeout=20)
        assert answer.status_code == status, answer.text
