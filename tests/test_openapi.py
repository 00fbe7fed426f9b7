"""`engine openapi`: valid, of the payload's own verdict, and good for a typed client that really calls a worker."""

import contextlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from support.command import run_engine
from support.payloads import exact, parameters, values_for
from support.s3 import free_port
from support.worker import worker_environment
from support.workflows import ROOT, SHARED, sampler_graph, write_workflow

from engine import Catalog
from engine.authoring.openapi import openapi_document
from engine.errors import InvalidMap, error_classes
from engine.graph import as_link, parse_graph
from engine.map_file import parse_map
from engine.nodes import load_catalogue
from engine.workflow import Workflow

BIN = Path(sys.executable).parent
CORPUS = sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))
DELIVERY = {"type": "object"}


def document_of(workflows, **more):
    return openapi_document(list(workflows), delivery=DELIVERY, **more)


def made(name, parameter_map, graph=None):
    graph = parse_graph(graph or sampler_graph(), label="template")
    return Workflow(name, graph, parse_map(parameter_map, label="map"), load_catalogue())


def operations(document):
    return [each for path in document["paths"].values() for each in path.values() if each["tags"] == ["workflows"]]


def component(document, schema):
    """A schema that a validator can use, its references resolved within the document."""
    return {**schema, "components": document["components"]}


def request_schema(document, name):
    return document["paths"][f"/runsync#{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def payload_of(document, name):
    schemas = document["components"]["schemas"]

    def follow(schema):
        return schemas[schema["$ref"].rpartition("/")[2]]

    wanted = follow(follow(request_schema(document, name))["properties"]["input"])
    return component(document, wanted["properties"]["payload"])


@pytest.fixture(scope="module")
def shipped():
    return Catalog([ROOT])


@pytest.fixture(scope="module")
def document(shipped):
    return document_of(shipped.values())


def test_it_is_valid_and_has_an_operation_for_every_workflow(document, shipped):
    validate(document)
    assert document["openapi"].startswith("3.1.")
    assert {each["operationId"] for each in operations(document)} == {f"run_{name}" for name in shipped}
    assert [each["summary"] for each in operations(document)] == [shipped[name].title for name in shipped]


def test_examples_fit_the_request_they_are_examples_of(document, shipped):
    for name, workflow in shipped.items():
        content = document["paths"][f"/runsync#{name}"]["post"]["requestBody"]["content"]["application/json"]
        assert [each["summary"] for each in content["examples"].values()] == [each.title for each in workflow.examples]
        for example in content["examples"].values():
            jsonschema.Draft202012Validator(component(document, content["schema"])).validate(example["value"])


def test_what_fails_has_the_codes_of_the_engine(document):
    codes = document["components"]["schemas"]["Failure"]["properties"]["code"]["enum"]
    assert {each.code for each in error_classes() if each.__module__ == "engine.errors"} == set(codes)
    answer = operations(document)[0]["responses"]["200"]["content"]["application/json"]
    jsonschema.Draft202012Validator(component(document, answer["schema"])).validate(
        answer["examples"]["failed"]["value"]
    )


def test_outputs_are_typed_by_their_kind_under_their_names(document):
    output = document["components"]["schemas"]["ResizeImageOutput"]
    assert output["properties"]["name"]["const"] == "image"
    assert output["properties"]["kind"]["const"] == "image"
    assert {"url", "base64", "width"} <= output["properties"].keys()
    assert "text" not in output["properties"]


def test_texts_of_the_map_are_carried_over():
    parameters = {
        "steps": {"type": "integer", "bind": "$['3'].inputs.steps", "title": "Steps", "description": "More is slower."},
        "old": {"type": "string", "bind": "$['6'].inputs.text", "deprecated": True},
    }
    rules = [{"that": "steps < 90", "message": "below 90 steps"}]
    outputs = {"image": {"node": "9", "kind": "image", "title": "The picture"}}
    workflow = made("w", {"title": "T", "parameters": parameters, "rules": rules, "outputs": outputs})
    document = document_of([workflow])
    properties = document["components"]["schemas"]["WPayload"]["properties"]
    assert (properties["steps"]["title"], properties["steps"]["description"]) == ("Steps", "More is slower.")
    assert properties["old"]["deprecated"] is True
    assert "below 90 steps" in operations(document)[0]["description"]
    assert document["components"]["schemas"]["WImageOutput"]["description"] == "The picture"


def test_names_that_differ_by_a_sign_stay_apart():
    names = ["my-flow", "my_flow", "MyFlow", "myflow-2", "file", "job", "failure", "3d", "a", "a-input", "get-job"]
    document = document_of(made(name, {"parameters": {}}) for name in names)
    validate(document)
    assert len({each["operationId"].lower() for each in operations(document)}) == len(names)
    schemas = document["components"]["schemas"]
    assert len({name.lower() for name in schemas}) == len(schemas)
    for name in names:
        valid = {"input": {"workflow": name, "payload": {}}}
        validator = jsonschema.Draft202012Validator(component(document, request_schema(document, name)))
        validator.validate(valid)
        assert not validator.is_valid({"input": {"workflow": f"{name}x", "payload": {}}})


def test_the_same_workflows_give_the_same_document(shipped):
    several = list(shipped.values())
    first = json.dumps(document_of(several))
    random.Random(1).shuffle(several)
    assert json.dumps(document_of(several)) == first
    assert json.dumps(document_of(Catalog([ROOT]).values())) == first


def test_the_endpoint_is_the_one_that_was_named(shipped):
    assert document_of(shipped.values(), url="http://127.0.0.1:8000/")["servers"] == [{"url": "http://127.0.0.1:8000"}]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_it_is_valid_for_a_map_of_every_value_in_real_graphs(path):
    try:
        graph = parse_graph(json.loads(path.read_text()), label=path.name)
    except InvalidMap:
        pytest.skip("is no API graph")
    workflow = everything_bound(graph)
    document = document_of([workflow])
    validate(document)
    payload = {name: value for name, value in workflow.validate({}).items() if value is not None}
    jsonschema.Draft202012Validator(payload_of(document, "theirs")).validate(payload)


def everything_bound(graph):
    """A workflow with a parameter for every value in a graph, but for those that can't be one."""
    types = {bool: "boolean", int: "integer", float: "number", str: "string"}
    declared = {}
    for node_id, node in graph.items():
        for name, value in node.get("inputs", {}).items():
            if not as_link(value) and type(value) in types and not re.search(r"['\\]", node_id + name):
                path = f"$['{node_id}'].inputs['{name}']"
                declared[f"p{len(declared)}"] = {"type": types[type(value)], "bind": path}
    while True:
        try:
            return made("theirs", {"parameters": declared}, graph)
        except InvalidMap as error:
            places = [problem.where.split(".") for problem in error.problems]
            wrong = {place[1] for place in places if place[0] == "parameters"}
            if not wrong:
                raise
            declared = {name: each for name, each in declared.items() if name not in wrong}


@st.composite
def workflows(draw):
    """A workflow of any parameters, and a payload that may fit them."""
    names = draw(st.lists(st.sampled_from(["a", "b", "class", "long_name"]), min_size=1, max_size=3, unique=True))
    texts = st.text(max_size=6) | st.sampled_from(["Same", '"""', "\\"])
    documents = {}
    for name in names:
        documents[name] = {**draw(parameters()), **draw(st.fixed_dictionaries({}, optional={"title": texts}))}
        documents[name] |= {"required": True} if draw(st.booleans()) else {"default": None}
    expression = " or ".join(f"{name} is none" for name in names)
    parameter_map = {
        "title": draw(texts),
        "parameters": documents,
        "computed": {"$['6'].inputs.text": f"'x' if {expression} else 'y'"},
    }
    chosen = draw(st.lists(st.sampled_from([*names, "unknown"]), unique=True))
    payload = {name: draw(values_for(documents.get(name, {"type": "string"}))) for name in chosen}
    return made("any", parameter_map), payload


@given(workflows())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_any_map_gives_a_valid_document_with_its_own_verdict(case):
    workflow, payload = case
    document = document_of([workflow])
    validate(document)
    own = jsonschema.Draft202012Validator(exact(workflow.payload_schema())).is_valid(exact(payload))
    assert jsonschema.Draft202012Validator(exact(payload_of(document, "any"))).is_valid(exact(payload)) == own


# The command


def engine(*arguments, folder=ROOT, cwd=None, **more):
    return run_engine(cwd, *arguments, WORKFLOWS_PATH=str(folder), **more)


def test_the_command_writes_a_file_or_stdout(tmp_path):
    printed = json.loads(engine("openapi", "resize").stdout)
    validate(printed)
    assert [each["operationId"] for each in operations(printed)] == ["run_resize"]
    assert not engine("openapi", "resize", "--out", tmp_path / "openapi.json").stdout
    assert json.loads((tmp_path / "openapi.json").read_text()) == printed
    delivery = printed["components"]["schemas"]["Delivery"]["properties"]
    assert delivery["mode"]["enum"] == ["s3", "gcs", "inline"]
    assert all(each["description"] for each in delivery.values())


def test_broken_workflows_are_left_out_and_named(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), {"parameters": {}})
    write_workflow(tmp_path, "bad", sampler_graph(), "{")
    done = engine("openapi", folder=tmp_path)
    assert [each["operationId"] for each in operations(json.loads(done.stdout))] == ["run_good"]
    assert "bad is broken" in done.stderr
    strict = engine("openapi", "--strict", folder=tmp_path, status=1)
    assert not strict.stdout
    assert 'did you mean "good"?' in engine("openapi", "godo", folder=tmp_path, status=1).stderr
    assert "can't be written" in engine("openapi", "--out", tmp_path, folder=tmp_path, status=1).stderr


def test_a_broken_workflow_that_is_named_is_not_left_out(tmp_path):
    write_workflow(tmp_path, "good", sampler_graph(), {"parameters": {}})
    write_workflow(tmp_path, "bad", sampler_graph(), "{")
    (tmp_path / "openapi.json").write_text("the one before")
    done = engine("openapi", "good", "bad", "--out", tmp_path / "openapi.json", folder=tmp_path, status=1)
    assert "schemas/bad.json: not JSON" in done.stderr
    assert (tmp_path / "openapi.json").read_text() == "the one before"


def test_a_document_of_nothing_is_not_written(tmp_path):
    write_workflow(tmp_path, "bad", sampler_graph(), "{")
    done = engine("openapi", "--out", tmp_path / "openapi.json", folder=tmp_path, status=2)
    assert "bad is broken" in done.stderr
    assert "no workflow that works" in done.stderr
    assert not (tmp_path / "openapi.json").exists()


# The typed client


def generate(document, folder):
    """A client as the README makes it; a warning of the generator's fails."""
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "client.yaml").write_text("literal_enums: true\n")
    command = [BIN / "openapi-python-client", "generate", "--path", "openapi.json", "--config", "client.yaml"]
    done = subprocess.run(
        [*command, "--meta", "none", "--output-path", "workflows_client", "--fail-on-warning"],
        cwd=folder,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "workflows_client"


def test_a_client_is_made_of_names_and_titles_that_clash(tmp_path):
    item = {
        "type": "object",
        "title": "Same",
        "properties": {"name": {"type": "string", "title": "Same", "enum": ["a", "A", "a-", "a_", ""]}},
    }
    parameters = {
        "image": {"type": "image", "title": "Same", "default": None},
        "first": {"type": "array", "items": item, "default": []},
        "second": {**item, "default": None},
        "mode": {"type": "string", "title": "Same", "enum": ["1:1", "1 1", 'q"""', "\\"], "default": None},
        "class": {"type": "string", "title": "Same", "enum": ["x"], "default": "x"},
        "files": {"type": "array", "items": {"type": "array", "items": {"type": "video"}}, "default": []},
    }
    used = " or ".join(f"{name} is none" for name in parameters)
    map_ = {
        "title": 'It\'s """quoted"""\\',
        "description": 'Ends in a quote "',
        "parameters": parameters,
        "computed": {"$['6'].inputs.text": f"'x' if {used} else 'y'"},
    }
    document = document_of(made(name, map_) for name in ("my-flow", "my_flow", "3d", "class"))
    folder = generate(document, tmp_path)
    subprocess.run([sys.executable, "-W", "error", "-m", "compileall", "-q", folder], check=True, timeout=60)
    script = "import workflows_client.models as m; print(*sorted(m.__all__))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MyFlowPayload MyFlowPayload2" in re.sub(r"MyFlowPayload2?[A-Z]\w* ", "", done.stdout)


@pytest.fixture(scope="module")
def endpoint(comfy_url, tmp_path_factory):
    """The worker, served by the local API of RunPod's SDK; its URL."""
    port = free_port()
    with worker_api(comfy_url, port, tmp_path_factory.mktemp("api") / "log") as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{url}/docs", timeout=5)
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the worker ended with status {process.wait(0.1)}")
        yield url


@contextlib.contextmanager
def worker_api(comfy_url, port, log_path):
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "handler.py"), "--rp_serve_api", "--rp_api_port", str(port)],
            env=worker_environment(comfy_url),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(15)


def readme_blocks():
    """The commands and the program that the README has for a typed client."""
    readme = (ROOT / "README.md").read_text()
    part = readme[readme.index("## A typed client") :]
    return tuple(re.search(rf"```{language}\n(.*?)```", part, re.DOTALL)[1] for language in ("sh", "python"))


def test_the_readmes_typed_client_calls_the_worker_and_gets_a_typed_result(endpoint, tmp_path):
    commands, program = readme_blocks()
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "WORKFLOWS_PATH": str(ROOT),
        "ENDPOINT_URL": endpoint,
        "RUNPOD_API_KEY": "any",
        "NO_PROXY": "127.0.0.1",
    }

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "uvx openapi-python-client" in commands
    run("sh", "-ec", commands.replace("uvx ", ""))
    (tmp_path / "program.py").write_text(program)
    printed = run(sys.executable, "program.py")
    assert re.fullmatch(r"resize_\S*\.png is 256 pixels wide\n", printed), printed
    (tmp_path / "more.py").write_text(MORE)
    assert run(sys.executable, "more.py") == "ok\n"


# What a checker of types would see, at run time.
MORE = """
import datetime
import os
from workflows_client import AuthenticatedClient
from workflows_client.api.workflows import run_resize, run_txt2img
from workflows_client.models import *

with AuthenticatedClient(os.environ["ENDPOINT_URL"], token="any", timeout=60) as client:
    payload = ResizePayload(image=File("data:image/png;base64,AAAA"), width=16, method="area")
    job = run_resize.sync(client=client, body=ResizeRequest(ResizeInput("resize", payload)))
    assert job.status == "FAILED" and "input_rejected" in job.error, job
    job = run_resize.sync(client=client, body=ResizeRequest(ResizeInput("resize", ResizePayload(width=16))))
    assert isinstance(job.output, ResizeResult)
    (output,) = job.output.outputs
    assert isinstance(output, ResizeImageOutput) and output.width == 16 and output.base64
    assert isinstance(job.output.values, ResizeValues) and job.output.values.method == "lanczos"
    assert job.output.timings.total > 0 and job.output.warnings == []
    failed = Job.from_dict({"id": "1", "status": "FAILED", "output": {"failure": {"code": "cancelled", "message": "m",
        "hint": None, "retryable": False, "problems": [{"parameter": "steps", "message": "m"}]}}})
    assert isinstance(failed.output, FailedOutput) and failed.output.failure.problems[0].parameter == "steps"
    known = Job.from_dict({"id": "1", "status": "COMPLETED", "output": job.output.to_dict()})
    assert isinstance(known.output, ResizeResult)
    running = {"node": "KSampler", "step": 1, "steps": 2, "fraction": 0.5}
    assert isinstance(Job.from_dict({"id": "1", "status": "IN_PROGRESS", "output": running}).output, Progress)
print("ok")
"""


def test_what_the_worker_answers_fits_the_document(endpoint, document):
    schema = document["paths"]["/runsync#resize"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    for payload in ({"width": 24}, {"width": -1}):
        body = {"input": {"workflow": "resize", "payload": payload}}
        reply = requests.post(f"{endpoint}/runsync", json=body, timeout=60).json()
        jsonschema.Draft202012Validator(component(document, schema)).validate(reply)
