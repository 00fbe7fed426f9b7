"""The local server when everybody comes at once, and when it is killed."""

import asyncio
import io
import re
from pathlib import Path

import aiohttp
import pytest
import requests
from support.playground import serving

from engine.simulator import Simulator

CLIENTS = 200
MEGABYTE = 1_000_000
RUNS = {"workflow": "txt2img", "payload": {"prompt": "a lighthouse", "ckpt_name": "any.safetensors"}}


@pytest.fixture(scope="module")
def slow():
    """A ComfyUI in a process that goes on when the server is killed; what it has run can be counted."""
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": ["any.safetensors"]}, step_seconds=0.1) as simulator:
        yield simulator.url


def posted(url, body, count):
    """The statuses and documents of as many requests at once, each on a connection of its own."""

    async def post(session):
        async with session.post(url, data=io.BytesIO(body), headers={"Content-Type": "application/json"}) as answer:
            return answer.status, answer.headers, await answer.json()

    async def everybody():
        timeout = aiohttp.ClientTimeout(total=100)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            return await asyncio.gather(*(post(session) for _ in range(count)))

    return asyncio.run(everybody())


def memory(process):
    """The most bytes that a process has had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def test_two_hundred_clients_at_once_get_their_job_or_are_asked_to_come_again(slow, tmp_path):
    own = {"COMFY_URL": slow, "API_QUEUE": "50", "API_BODY_BYTES": str(MEGABYTE), "DRAIN_SECONDS": "0"}
    with serving(tmp_path, **own) as server:
        begun = requests.post(f"{server.url}/run", json={"input": RUNS | {"payload": RUNS["payload"] | {"steps": 150}}})
        assert begun.json()["status"] == "IN_QUEUE"
        before = memory(server.process)
        small = posted(f"{server.url}/run", b'{"input": {"action": "list"}}', CLIENTS)
        assert {status for status, _, _ in small} == {200, 429}
        taken = [document["id"] for status, _, document in small if status == 200]
        assert len(taken) in {50, 51}  # the first may have been begun by now
        for status, headers, document in small:
            assert status == 200 or (int(headers["Retry-After"]) > 0 and document["failure"]["code"] == "queue_full")
        assert requests.get(f"{server.url}/health", timeout=30).json()["jobs"]["inQueue"] <= 50

        requests.post(f"{server.url}/purge-queue", timeout=30)
        large = b'{"input": {"action": "list", "payload": {"x": "' + b"A" * (MEGABYTE - 100) + b'"}}}'
        answers = posted(f"{server.url}/runsync?wait=1000", large, CLIENTS)
        assert {status for status, _, _ in answers} <= {200, 429}
        assert any(status == 200 for status, _, _ in answers)
        # Of 200 that were sent, and as much again for their JSON: some 50 to 110, by how they meet.
        assert memory(server.process) - before < 150 * MEGABYTE


def test_a_server_that_is_killed_ends_every_job_that_waited_once(slow, tmp_path):
    own = {"COMFY_URL": slow, "COMFY_CLEANUP": "0", "DRAIN_SECONDS": "0"}
    with serving(tmp_path, **own) as server:
        payload = RUNS["payload"] | {"steps": 15, "seed": 1}
        first = requests.post(f"{server.url}/run", json={"input": RUNS | {"payload": payload}}, timeout=30).json()["id"]
        jobs = [first]
        for seed in range(2, 22):
            body = {
                "input": RUNS | {"payload": RUNS["payload"] | {"steps": 1, "seed": seed, "width": 64, "height": 64}}
            }
            jobs.append(requests.post(f"{server.url}/run", json=body, timeout=30).json()["id"])
        while requests.get(f"{server.url}/status/{first}", timeout=30).json()["status"] != "IN_PROGRESS":
            pass
        server.process.kill()
        server.process.wait()
    with serving(tmp_path, **own) as server:  # on another port
        for job in jobs:
            ended = {}
            while ended.get("status") not in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}:
                ended = requests.get(f"{server.url}/status/{job}", timeout=30).json()
            assert ended["status"] == "COMPLETED", ended
        assert requests.get(ended["output"]["outputs"][0]["url"], timeout=30).content.startswith(b"\x89PNG")
        assert requests.get(f"{server.url}/health", timeout=30).json()["jobs"]["retried"] <= 1
    history = requests.get(f"{slow}/history", timeout=30).json()
    seeds = [entry["prompt"][2]["3"]["inputs"]["seed"] for entry in history.values()]
    counts = {seed: seeds.count(seed) for seed in range(2, 22)}
    assert counts == dict.fromkeys(range(2, 22), 1)
    assert 1 <= seeds.count(1) <= 2


def test_each_comfyui_of_a_list_runs_a_job_at_a_time(slow, tmp_path, wait_until):
    choices = {"CheckpointLoaderSimple.ckpt_name": ["any.safetensors"]}
    with (
        Simulator(choices=choices, step_seconds=0.1) as other,
        serving(tmp_path, COMFY_URL=f"{slow},{other.url}", DRAIN_SECONDS="0") as server,
    ):
        for seed in range(3):
            body = {"input": RUNS | {"payload": RUNS["payload"] | {"steps": 100, "seed": seed}}}
            requests.post(f"{server.url}/run", json=body, timeout=30)
        running = [f"{each}/queue" for each in (slow, other.url)]
        wait_until(lambda: all(requests.get(each, timeout=5).json()["queue_running"] for each in running))
        health = requests.get(f"{server.url}/health", timeout=30).json()
        assert (health["jobs"]["inProgress"], health["jobs"]["inQueue"]) == (2, 1)
        assert (health["workers"]["running"], health["workers"]["idle"]) == (2, 0)
