"""The server's OpenAPI document: valid, good for a client, and what the server really does (schemathesis)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from support.local_server import local_server
from support.workflows import ROOT, write_workflow

from engine import Catalog
from engine.server.openapi import openapi_document
from engine.settings import Settings

BIN = Path(sys.executable).parent

# What no schema can say, each of which would be taken for a fault of the server.
UNSAID = {
    "webhook": "which hosts can be called",
    "delivery.lossless": "not together with delivery.format=jpeg",
    "delivery.filename": "which fields a name can have",
    "delivery.prefix": "how long the whole name becomes",
}

BUCKET = {"s3_bucket": "results", "s3_access_key_id": "id", "s3_secret_access_key": "key"}

GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
    "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "plain"}},
}
SHADE = {"type": "integer", "minimum": 0, "maximum": 9}
MAP = {
    "title": "A colour",
    "parameters": {
        "width": {"type": "integer", "minimum": 1, "maximum": 32, "bind": "$['1'].inputs.width"},
        "height": {"type": "integer", "minimum": 1, "maximum": 32, "bind": "$['1'].inputs.height", "required": True},
        "inverted": {"type": "boolean", "default": True},
        "shades": {
            "type": "array",
            "default": [],
            "maxItems": 3,
            "items": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "tone": {"type": "string", "enum": ["dark", "light"], "default": "dark"},
        "note": {"type": "string", "default": None, "maxLength": 20},
        "look": {
            "type": "object",
            "default": None,
            "properties": {"grain": {"type": "number", "minimum": 0, "maximum": 1, "default": 0}},
        },
    },
    "computed": {
        "$['1'].inputs.color": "(shades|length) + (1 if tone == 'dark' else 2) + (0 if look is none else 1)"
        " + (0 if note is none else 1)"
    },
    "switches": {"invert": {"when": "inverted", "bypass": ["2"]}},
    "outputs": {"image": {"node": "3", "kind": "image"}},
    "examples": [{"title": "Small", "payload": {"height": 8}}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    workflows = write_workflow(folder / "workflows", "plain", GRAPH, MAP)
    with local_server(folder, workflows=workflows, API_HISTORY="100") as found:
        yield found


def test_the_document_of_the_whole_library_is_valid_and_makes_a_client(tmp_path):
    catalog = Catalog([ROOT])
    document = openapi_document(list(catalog.values()), Settings())
    validate(document)
    assert {f"/workflows/{name}" for name in catalog} <= set(document["paths"])
    assert set(document["paths"]["/workflows/img2img"]["post"]["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    few = openapi_document([catalog["resize"], catalog["txt2img_lora"]], Settings())
    (tmp_path / "openapi.json").write_text(json.dumps(few))
    options = ["generate", "--path", "openapi.json", "--output-path", "client", "--meta", "none"]
    subprocess.run([BIN / "openapi-python-client", *options], cwd=tmp_path, check=True, capture_output=True)
    made = {path.stem for path in (tmp_path / "client" / "api").rglob("*.py")}
    wanted = {each["operationId"] for path in few["paths"].values() for each in path.values()}
    assert wanted <= made


@pytest.mark.parametrize(
    ("storage", "modes"),
    [({}, ["directory", "inline"]), ({"storage": "inline"}, ["inline"]), (BUCKET, ["inline", "s3"])],
)
def test_results_can_be_asked_for_where_they_can_go(storage, modes):
    document = openapi_document([Catalog([ROOT])["resize"]], Settings(**storage))
    query = {each["name"]: each for each in document["paths"]["/workflows/resize"]["post"]["parameters"]}
    assert query["delivery.mode"]["schema"]["enum"] == modes


def test_a_workflow_that_comes_is_in_the_document_at_once(server):
    folder = server.folder / "workflows"
    before = server.get("/openapi.json").json()
    assert before["servers"] == [{"url": server.url}]
    write_workflow(folder, "other", GRAPH, {**MAP, "title": "Another"})
    try:
        assert "/workflows/other" in server.get("/openapi.json").json()["paths"]
    finally:
        for part in ("templates", "schemas"):
            (folder / part / "other.json").unlink()
    assert server.get("/openapi.json").json() == before


def test_schemathesis_finds_nothing(server, tmp_path):
    document = server.get("/openapi.json").json()
    for path in ("/run", "/runsync"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        body["properties"] = {name: each for name, each in body["properties"].items() if name not in UNSAID}
    run = document["paths"]["/workflows/plain"]["post"]
    run["parameters"] = [each for each in run["parameters"] if each["name"] not in UNSAID]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    options = ["--url", server.url, "--checks", "all", "--phases", "coverage,fuzzing,stateful"]
    bounds = ["--max-examples", "3", "--seed", "1", "--no-color", "--continue-on-failure"]
    command = [BIN / "schemathesis", "run", "openapi.json", *options, *bounds]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]


FIELDS = st.sampled_from(["width", "height", "shades", "look", "note", "tone", "inverted", "hight", "", "é"])
VALUES = st.one_of(
    st.integers(-5, 50).map(str), st.text(max_size=20), st.sampled_from(["true", "[1,2]", "[", "null", '{"grain":1}'])
)
PARTS = st.lists(st.tuples(FIELDS, st.none() | st.text('ab./\\"é', max_size=8), VALUES), max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=PARTS, cut=st.integers(0, 400) | st.just(10_000))
def test_whatever_a_form_holds_it_is_taken_or_refused_in_words(server, parts, cut):
    files = [(name, (filename, value.encode("utf-8", "replace"))) for name, filename, value in parts]
    prepared = requests.Request("POST", server.url, files=files or {"x": (None, "y")}).prepare()
    headers = {"Content-Type": prepared.headers["Content-Type"]}
    reply = server.post("/workflows/plain", data=prepared.body[:cut], headers=headers)
    assert reply.status_code in {200, 400, 422}, reply.text
    if reply.status_code != 200:
        assert reply.json()["failure"]["message"]
    else:
        assert cut >= len(prepared.body) - 2  # nothing that was cut off is run
