"""What one job asks of ComfyUI: nothing twice, and nothing before it that was known."""

import base64
import json
from contextlib import ExitStack

import pytest
from support.graphs import fresh_number
from support.media import picture
from support.runners import asked, runner_on
from support.workflows import write_workflow

from engine import Catalog
from engine.comfyui import ComfyUI, SharedFolders
from engine.envelope import answer
from engine.jobs import Runner
from engine.settings import Settings
from engine.storage import Storages

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "asked"}},
    "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}
MAP = {
    "parameters": {"color": {"type": "integer", "required": True, "bind": "$['1'].inputs.color"}},
    "outputs": {"image": {"node": "2", "kind": "image"}, "preview": {"node": "3", "kind": "image"}},
}
NEEDED = ["POST /prompt", "GET /history/ID"]


@pytest.fixture
def jobs(proxy, comfy_base, tmp_path):
    """Runs jobs on a ComfyUI that is ready, by way of the proxy; gives what was asked meanwhile."""
    folder = write_workflow(tmp_path / "workflows", "asked", GRAPH, MAP)

    def run(count, *, shared):
        with ExitStack() as stack:
            folders = SharedFolders.below(comfy_base) if shared else None
            comfy = stack.enter_context(ComfyUI(proxy.url, folders=folders))
            runner = Runner(Catalog([folder]), lambda: comfy, Storages(Settings(), default="inline"), Settings())
            stack.callback(runner.close)
            comfy.ready()
            runner.live.get()
            comfy.events.start()
            before = len(proxy.requests)
            for number in range(count):
                reply = answer({"workflow": "asked", "payload": {"color": fresh_number()}}, runner, job_id=f"j{number}")
                assert [output["name"] for output in reply["outputs"]] == ["image", "preview"], json.dumps(reply)
        asked = [f"{each.rpartition('/')[0]}/ID" if "/history/" in each else each for each in proxy.requests[before:]]
        # Behind the replies, for all at once.
        return sorted(each for each in asked if each != "POST /history"), asked.count("POST /history")

    return run


@pytest.mark.parametrize(("shared", "files"), [(True, []), (False, ["GET /view", "GET /view"])])
def test_a_job_asks_for_what_it_can_t_know_and_for_nothing_else(jobs, shared, files, monkeypatch):
    monkeypatch.setattr("engine.comfyui.prompt_run._ASK_SECONDS", 60)  # else it asks again where the machine is slow
    asked, forgotten = jobs(3, shared=shared)

    assert asked == sorted((NEEDED + files) * 3)
    assert 1 <= forgotten <= 3


def test_tries_of_one_job_send_its_files_once(proxy, tmp_path):
    source = base64.b64encode(picture((16, 16))).decode()
    document = {
        "parameters": {
            "seed": {"type": "seed"},
            "image": {"type": "image", "required": True, "bind": "$['1'].inputs.image"},
        },
        "computed": {"$['2'].inputs.filename_prefix": "seed {{ seed }}"},
        "outputs": {"image": {"node": "2", "kind": "image"}},
        "accept": [{"check": "not_identical_to_input", "input": "image"}],
        "retries": 2,
    }
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    catalog = Catalog([write_workflow(tmp_path / "workflows", "same", graph, document)])
    with ComfyUI(proxy.url) as comfy:
        reply = asked(runner_on(comfy, tmp_path, catalog), {"workflow": "same", "payload": {"image": source}})

    assert len(reply["quality"]["tries"]) == 3
    assert proxy.requests.count("POST /prompt") == 3
    assert proxy.requests.count("POST /upload/image") == 1
