"""What `engine serve` says and does at its start, as a process."""

import os

import requests
from support.command import run_engine
from support.playground import free_port, serving
from support.workflows import sampler_graph, write_workflow

STEPS = {"parameters": {"steps": {"type": "integer", "bind": "$['3'].inputs.steps"}}}


def test_what_is_broken_stops_neither_the_start_nor_a_list(tmp_path):
    workflows = write_workflow(tmp_path / "own", "good", sampler_graph(), STEPS)
    write_workflow(workflows, "deep", "[" * 100_000, "null")
    os.mkfifo(workflows / "templates" / "pipe.json")
    with serving(tmp_path, WORKFLOWS_PATH=str(workflows)) as server:
        assert "3 workflows; results go to" in server.log
        found = requests.get(f"{server.url}/workflows", timeout=20).json()["workflows"]
        assert {each["name"]: each["status"] for each in found} == {"deep": "broken", "good": "ready", "pipe": "broken"}
        paths = requests.get(f"{server.url}/openapi.json", timeout=20).json()["paths"]
        assert "/workflows/good" in paths

        # A second one on the same folder says that, and nothing that is not so.
        second = run_engine(
            tmp_path, "serve", "--port", str(free_port()), status=1, API_FOLDER=str(tmp_path / "kept"), COMFY_URL=""
        )
        assert "API_FOLDER" in second.stderr.splitlines()[1]
        assert "is in use by another server" in second.stderr
        assert "simulator" not in second.stderr
        assert "WARNING" not in second.stderr


def test_it_says_where_results_go(tmp_path):
    bucket = {"S3_BUCKET": "pictures", "S3_ENDPOINT_URL": "http://127.0.0.1:1", "S3_REGION": "auto"}
    keys = {"S3_ACCESS_KEY_ID": "someone", "S3_SECRET_ACCESS_KEY": "something"}
    with serving(tmp_path, **bucket, **keys) as server:
        assert "results go to the bucket pictures" in server.log
        assert requests.get(f"{server.url}/server", timeout=20).json()["storage"] == "s3"


def test_a_port_that_is_none_is_wrong_usage(tmp_path):
    said = run_engine(tmp_path, "serve", "--port", "0", status=2).stderr
    assert "--port: must be from 1 to 65535 (got 0)" in said
