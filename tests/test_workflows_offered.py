"""WORKFLOWS: what is offered of all the workflows that are there."""

import asyncio
import json

import pytest
from support.command import run_engine
from support.runners import runner_on
from support.worker import run_handler, worker_environment
from support.workflows import ROOT, sampler_graph, write_workflow

from engine import Catalog
from engine.errors import UnknownWorkflow
from engine.fitness import Unfit, check_workflows
from engine.worker import Worker


@pytest.fixture
def engine(tmp_path, comfy_url):
    def run(*arguments, **more):
        return run_engine(tmp_path, *arguments, **{"COMFY_URL": comfy_url, **more})

    return run


def test_only_those_are_there():
    catalog = Catalog([ROOT], only=["resize", "txt2img"])
    assert list(catalog) == ["resize", "txt2img"]
    assert len(catalog) == 2
    assert "img2img" not in catalog
    assert catalog["resize"].name == "resize"


def test_one_that_is_not_offered_is_as_unknown_as_any_other():
    with pytest.raises(UnknownWorkflow) as other:
        Catalog([ROOT], only=["resize"])["img2img"]
    assert "txt2img" not in str(other.value) + other.value.hint
    with pytest.raises(UnknownWorkflow):
        Catalog([ROOT], only=["resise"])["resise"]


def test_no_names_are_all():
    assert list(Catalog([ROOT], only=())) == list(Catalog([ROOT]))


def test_a_name_that_no_workflow_has_is_broken_and_stops_no_other():
    entries = {entry.source.name: entry for entry in Catalog([ROOT], only=["resise", "txt2img"]).entries()}
    assert entries["txt2img"].workflow
    assert 'did you mean "resize"?' in str(entries["resise"].error)


def test_a_later_folder_still_wins(tmp_path):
    folder = write_workflow(tmp_path, "resize", sampler_graph(), {"title": "Mine", "parameters": {}})
    assert Catalog([ROOT, folder], only=["resize"])["resize"].title == "Mine"


def test_a_worker_needs_one_of_them():
    check_workflows(Catalog([ROOT], only=["resise", "txt2img"]))
    with pytest.raises(Unfit, match="resise: WORKFLOWS names it"):
        check_workflows(Catalog([ROOT], only=["resise"]))


def test_a_worker_offers_no_other(comfy_url):
    def answered(request, **more):
        environment = worker_environment(comfy_url, WORKFLOWS="resize, resise", **more)
        return run_handler(environment, "--test_input", json.dumps({"input": request}))

    listed = answered({"action": "list"}).stderr + answered({"action": "list"}).stdout
    assert "txt2img" not in listed
    refused = answered({"workflow": "txt2img", "payload": {}})
    assert "unknown_workflow" in refused.stdout + refused.stderr


def test_the_action_list_tells_of_the_wrong_name(comfy, tmp_path):
    worker = Worker(runner_on(comfy, tmp_path, Catalog([ROOT], only=["resise", "resize"])))
    listed = asyncio.run(worker.handle({"id": "j", "input": {"action": "list"}}))["workflows"]
    assert {each["name"]: each["status"] for each in listed} == {"resise": "broken", "resize": "ready"}


def test_list_describe_and_run_see_no_other(engine):
    listed = json.loads(engine("list", "--json", WORKFLOWS="resize,resise").stdout)["workflows"]
    assert {each["name"]: each["status"] for each in listed} == {"resise": "broken", "resize": "ready"}
    assert "Resize" in engine("describe", "resize", WORKFLOWS="resize").stdout
    for command in ("describe", "run", "render"):
        assert "unknown_workflow" in engine(command, "txt2img", status=1, WORKFLOWS="resize").stderr
    document = json.loads(engine("openapi", WORKFLOWS="resize").stdout)
    assert "txt2img" not in json.dumps(document)


def test_many_workflows_are_listed_with_the_wrong_name(engine, tmp_path):
    for number in range(60):
        write_workflow(tmp_path / "many", f"flow-{number}", sampler_graph(), {"parameters": {}})
    names = ",".join(f"flow-{number}" for number in range(55))
    listed = engine("list", WORKFLOWS_PATH=str(tmp_path / "many"), WORKFLOWS=f"{names},flow-6x").stdout.splitlines()
    assert "flow-54" in listed
    assert "flow-59" not in listed
    assert "flow-6x  BROKEN" in listed


def test_check_looks_at_what_is_offered_unless_one_is_named(engine):
    done = engine("check", WORKFLOWS="resize")
    assert "1 of 1 workflows are fine" in done.stderr
    assert "only what WORKFLOWS names was checked" in done.stderr
    assert "resise" in engine("check", WORKFLOWS="resise,resize", status=1).stdout
    assert "ok      txt2img" in engine("check", "txt2img", WORKFLOWS="resize").stdout
    assert "txt2img" in engine("check", "--folder", ROOT, WORKFLOWS="resize").stdout


def test_an_author_adds_what_is_not_offered_yet(engine, tmp_path):
    (tmp_path / "new.json").write_text(json.dumps(sampler_graph()))
    (tmp_path / "mine").mkdir()
    engine("add", "new.json", WORKFLOWS_PATH=str(tmp_path / "mine"), WORKFLOWS="resize")
    assert (tmp_path / "mine" / "schemas" / "new.json").is_file()
