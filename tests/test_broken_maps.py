"""Every way a workflow can be broken that we know of: it is found at load, and the answer says where and what to do."""

import json
import subprocess
import sys

import pytest
from support.workflows import ROOT, sampler_graph, write_workflow

from engine import Catalog
from engine.errors import WorkflowError

CASES = json.loads((ROOT / "tests" / "data" / "broken_maps.json").read_text())


def good_map():
    return {
        "title": "Good",
        "parameters": {
            "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
            "steps": {"type": "integer", "minimum": 1, "maximum": 150, "bind": "$['3'].inputs.steps"},
            "sampler_name": {"type": "string", "bind": "$['3'].inputs.sampler_name"},
        },
        "outputs": {"image": {"node": "9", "kind": "image"}},
    }


def changed(document, path, *value):
    """The document with the value set at a path, or without what is there."""
    *parents, last = path
    here = document
    for key in parents:
        here = here[key]
    if value:
        here[last] = value[0]
    else:
        del here[last]
    return document


def written(folder, case):
    parameter_map = case.get("map_text") or changed(good_map(), *case["map"]) if "map" in case else good_map()
    parameter_map = case.get("map_text", parameter_map)
    if "also" in case:
        parameter_map = changed(parameter_map, *case["also"])
    graph = changed(sampler_graph(), *case["template"]) if "template" in case else sampler_graph()
    graph = case.get("template_text", graph)
    missing = case.get("missing")
    return write_workflow(
        folder,
        "broken",
        None if missing == "template" else graph,
        None if missing == "map" else parameter_map,
    )


def test_the_map_that_the_cases_break_is_good(tmp_path):
    write_workflow(tmp_path, "broken", sampler_graph(), good_map())
    assert Catalog([tmp_path])["broken"].validate({"prompt": "x"})["steps"] == 20


def test_there_are_at_least_25_kinds():
    assert len({case["name"] for case in CASES}) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_broken(tmp_path, case):
    with pytest.raises(WorkflowError) as caught:
        Catalog([written(tmp_path, case)])["broken"]
    found = [problem for problem in caught.value.problems if problem.where == case["where"]]
    assert found, [str(problem) for problem in caught.value.problems]
    assert {problem.file for problem in found} == {case["file"]}
    text = " | ".join(problem.message for problem in found)
    for words in case["says"]:
        assert words in text
    assert str(tmp_path) not in text


def test_every_problem_is_told_at_once(tmp_path):
    parameter_map = good_map()
    parameter_map["parameters"]["steps"]["bind"] = "$['33'].inputs.steps"
    parameter_map["outputs"]["image"]["node"] = "99"
    parameter_map["computed"] = {"$['3'].inputs.cfg": "range(3)"}
    write_workflow(tmp_path, "broken", sampler_graph(), parameter_map)
    with pytest.raises(WorkflowError) as caught:
        Catalog([tmp_path])["broken"]
    assert {problem.where for problem in caught.value.problems} >= {
        "parameters.steps.bind",
        "outputs.image.node",
        "computed.$['3'].inputs.cfg",
    }


def test_check_prints_file_key_and_remedy_and_goes_on(tmp_path):
    parameter_map = good_map()
    parameter_map["parameters"]["steps"]["bind"] = "$['3'].inputs.stepz"
    write_workflow(tmp_path, "broken", sampler_graph(), parameter_map)
    write_workflow(tmp_path, "good", sampler_graph(), good_map())
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "check"],
        env={"WORKFLOWS_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "schemas/broken.json: parameters.steps.bind: $['3'].inputs.stepz leads nowhere" in done.stdout
    assert 'did you mean "steps"' in done.stdout
    assert "ok      good" in done.stdout
