"""Workflows as tools of agents: `engine mcp` with the library's own client, over real pipes, on a simulator that is
slow enough to be watched."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import requests
from mcp import MCPError, StdioServerParameters
from PIL import Image
from support.agent import blocks, connected, picture
from support.command import ENGINE, run_engine
from support.workflows import ROOT

from engine.known_nodes import known_nodes
from engine.mcp.answers import MOST_BYTES
from engine.mcp.pictures import LONGEST_SIDE
from engine.simulator import Simulator, choices_from

WORKFLOWS = ("resize", "txt2img")


def copy_workflow(name, folder, as_name=None):
    for part in ("templates", "schemas"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / part / f"{name}.json", folder / part / f"{as_name or name}.json")


@pytest.fixture(scope="module")
def simulator():
    nodes = known_nodes()
    graphs = [json.loads((ROOT / "templates" / f"{name}.json").read_text()) for name in WORKFLOWS]
    with Simulator(nodes, choices=choices_from(graphs, nodes), step_seconds=0.05) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agent")
    for name in WORKFLOWS:
        copy_workflow(name, folder / "workflows")
    return folder


@pytest.fixture(scope="module")
def agent(simulator, folder):
    environment = {"COMFY_URL": simulator.url, "WORKFLOWS_PATH": str(folder / "workflows"), "OUTPUT_FOLDER": "made"}
    parameters = StdioServerParameters(command=ENGINE, args=["mcp"], cwd=folder, env=environment)
    with connected(parameters, "legacy") as agent:
        yield agent


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


@contextlib.contextmanager
def raw(folder, *asked, **environment):
    """A process of `engine mcp` that was greeted and then asked, with plain pipes."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        *({"id": 2 + number, "method": "tools/call", "params": each} for number, each in enumerate(asked)),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([ENGINE, "mcp"], cwd=folder, env=os.environ | environment, **pipes) as process:
        process.stdin.write("".join(f"{json.dumps({'jsonrpc': '2.0'} | each)}\n" for each in messages))
        process.stdin.flush()
        yield process


def test_stdout_carries_the_protocol_alone(tmp_path):
    with raw(tmp_path, {"name": "resize", "arguments": {"width": 8}}) as process:
        answers = {(answer := json.loads(process.stdout.readline()))["id"]: answer for _ in range(2)}
        rest, said = process.communicate()
    assert process.returncode == 0
    assert rest == ""
    assert "the simulator draws the pictures" in said
    assert answers[1]["result"]["capabilities"]["tools"] == {"listChanged": True}
    result = answers[2]["result"]
    assert not result["isError"]
    assert "No ComfyUI is set up here" in result["content"][0]["text"]
    assert size_of(tmp_path / "outputs" / "resize_00001_.png")[0] == 8


def test_without_a_client_it_says_what_it_is(tmp_path):
    done = subprocess.run(
        ["sh", "-c", f"exec {ENGINE} mcp <&-"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "stdin or stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr


def in_work(simulator):
    found = requests.get(f"{simulator.url}/queue", timeout=10).json()
    return found["queue_running"] + found["queue_pending"]


def test_it_ends_when_told_to_though_its_client_holds_the_pipe(tmp_path, simulator):
    call = {"name": "txt2img", "arguments": {"prompt": "a harbour", "steps": 150}, "_meta": {"progressToken": 1}}
    with raw(tmp_path, call, COMFY_URL=simulator.url) as process:
        while "step" not in json.loads(process.stdout.readline()).get("params", {}).get("message", ""):
            pass
        process.terminate()
        assert process.wait(30) == 0
        process.communicate()
    assert not in_work(simulator)


def everything(schema):
    yield schema
    for part in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from everything(part)


def test_each_workflow_is_a_tool_whose_arguments_are_plain(agent):
    tools = agent.tools()
    assert {*WORKFLOWS} <= {*tools}
    for tool in tools.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        for part in everything(tool.input_schema):
            assert isinstance(part["type"], str)
            assert not [word for word in part if word.startswith("x-")]
    resize = tools["resize"]
    assert resize.input_schema["properties"]["method"]["enum"][0] == "nearest-exact"
    assert "path of a file on this machine" in resize.input_schema["properties"]["image"]["description"]
    assert "one of width and height must be above 0" in resize.description
    assert (resize.annotations.read_only_hint, resize.annotations.open_world_hint) == (False, True)
    text = tools["txt2img"].input_schema
    assert text["required"] == ["prompt"]
    assert text["properties"]["steps"] == {
        "type": "integer", "minimum": 1, "maximum": 150, "default": 20,
        "description": "In how many steps the noise is taken out; more take longer.",
    }  # fmt: skip


def test_a_picture_goes_in_and_comes_back(agent, folder):
    Image.new("RGB", (64, 32), "#2266aa").save(folder / "small.png")
    result = agent.call("resize", {"image": str(folder / "small.png"), "width": 96, "height": 0})
    assert not result.is_error
    assert picture(blocks(result, "image")[0])[0] == (96, 48)
    (output,) = result.structured_content["outputs"]
    assert Path(output["path"]).parent == folder / "made"
    (link,) = blocks(result, "resource_link")
    assert unquote(urlsplit(link.uri).path) == output["path"]
    assert output["path"] in blocks(result, "text")[0].text


def test_a_large_picture_is_scaled_down_in_the_answer_alone(agent):
    result = agent.call("txt2img", {"prompt": "a harbour", "width": 2048, "height": 1024, "steps": 1, "seed": 7})
    shown, size = picture(blocks(result, "image")[0])
    assert shown == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert size <= MOST_BYTES
    assert size_of(result.structured_content["outputs"][0]["path"]) == (2048, 1024)
    assert '"seed": 7' in blocks(result, "text")[0].text


def test_an_agent_is_told_all_that_is_wrong_and_can_mend_it(agent):
    result = agent.call("txt2img", {"steps": "20", "promt": "a harbour", "width": 513})
    assert result.is_error
    said = result.content[0].text
    for words in ('promt: unknown parameter (did you mean "prompt"?)', 'steps: must be a whole number (got "20")',
                  "prompt: is required", "width: must be a multiple of 8"):  # fmt: skip
        assert words in said
    assert result.structured_content["failure"]["code"] == "invalid_payload"
    with pytest.raises(MCPError, match='did you mean "txt2img"'):
        agent.call("txt2imgs", {})


def test_progress_is_told_by_node_and_step_and_only_grows(agent):
    told = []
    agent.call(
        "txt2img", {"prompt": "a harbour", "steps": 6, "width": 64, "height": 64}, lambda *each: told.append(each)
    )
    numbers = [each[0] for each in told]
    assert numbers == sorted(set(numbers))
    assert any("KSampler, step" in each[2] and each[2].endswith("of 6") for each in told)


def test_a_call_that_is_cancelled_stops_on_comfyui(agent, simulator, wait_until):
    at_it = threading.Event()
    future = agent.begin(
        "txt2img",
        {"prompt": "a harbour", "steps": 150, "width": 64, "height": 64, "seed": 99},
        lambda _progress, _total, message: at_it.set() if "step" in message else None,
    )
    assert at_it.wait(30)
    future.cancel()

    wait_until(lambda: not in_work(simulator))
    history = requests.get(f"{simulator.url}/history", timeout=10).json().values()
    assert "99" not in [str(each["prompt"][2].get("3", {}).get("inputs", {}).get("seed")) for each in history
                        if each["status"]["status_str"] == "success"]  # fmt: skip
    assert not agent.call("resize", {"width": 16}).is_error


def test_clients_are_told_when_there_is_another_workflow(agent, folder):
    before = agent.tools()
    copy_workflow("resize", folder / "workflows", as_name="resize_again")
    agent.changes.get(timeout=30)
    assert {*agent.tools()} - {*before} == {"resize_again"}


def test_a_folder_that_takes_no_results_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    done = run_engine(tmp_path, "mcp", status=1, OUTPUT_FOLDER="file/made")
    assert "OUTPUT_FOLDER" in done.stderr
    assert '"env"' in done.stderr


def test_without_the_library_it_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['engine', 'mcp']; from engine.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'mcp" in done.stderr
    assert done.stdout == ""
