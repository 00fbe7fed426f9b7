"""What `engine check` finds: each case of tests/data/findings.json changes a workflow in which nothing is wrong."""

import json
import re
from pathlib import Path

import pytest
from support.workflows import ROOT, SHARED, sampler_graph, write_workflow

from engine import Catalog
from engine.authoring.checking import CODES, check_entry
from engine.node_packs import KnownPacks
from engine.nodes import load_catalogue
from engine.schema import ParameterMap

CASES = json.loads((Path(__file__).parent / "data" / "findings.json").read_text())
BASE = {
    "parameters": {
        "prompt": {"type": "string", "required": True, "bind": "$['6'].inputs.text"},
        "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
    },
    "outputs": {"image": {"node": "9"}},
    "expects": {"3": "KSampler", "6": "CLIPTextEncode", "9": "SaveImage"},
    "requires": {"models": [{"path": "checkpoints/v1-5-pruned-emaonly-fp16.safetensors"}]},
    "examples": [{"title": "A cat", "payload": {"prompt": "a cat", "seed": 7}}],
}


def merged(target, patch):
    """JSON merge patch (RFC 7396), where "NULL" stands for a null that is kept."""
    if not isinstance(patch, dict):
        return None if patch == "NULL" else patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def check(folder, name="made", packs=None, nodes=None):
    (entry,) = Catalog([folder]).entries([name])
    return check_entry(entry, nodes or load_catalogue(), packs or KnownPacks()).findings


def check_case(folder, case):
    graph = merged(sampler_graph(), case.get("template", {}))
    return check(write_workflow(folder, "made", graph, merged(BASE, case.get("map", {}))))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_what_is_wrong_is_found_and_nothing_else(tmp_path, case):
    found = check_case(tmp_path, case)
    assert sorted([each.code, each.where] for each in found) == sorted(case["expect"]), found
    for each in found:
        in_map = each.code == "invalid_map" or re.split(r"[.\[]", each.where)[0] in ParameterMap.model_fields
        assert each.file == ("schemas/made.json" if in_map else "templates/made.json")
        assert each.message
        assert each.remedy
    if case["expect"]:
        first = next(each for each in found if [each.code, each.where] == case["expect"][-1])
        assert case.get("says", "") in first.message
        assert case.get("remedy", "") in first.remedy
        assert first.severity == case.get("severity", first.severity)
    if "hides" in case:
        assert case["hides"] not in json.dumps([each.as_dict() for each in found])


def test_every_case_is_named_once():
    assert len({case["name"] for case in CASES}) == len(CASES)


# Found by tests of files and of a running ComfyUI, not by a change of the two documents.
OF_FILES = {"missing_file", "unreadable", "render_changed", "render_unsaved", "render_left_over"}
OF_A_RUNNING_COMFYUI = {"not_available", "missing_model"}


def test_every_code_has_a_case():
    assert CODES.keys() == {code for case in CASES for code, _ in case["expect"]} | OF_FILES | OF_A_RUNNING_COMFYUI


def test_every_code_is_documented_and_no_other():
    rows = [line for line in (ROOT / "docs" / "checking.md").read_text().splitlines() if line.startswith("| `")]
    expected = {f"| `{each.name}` | {each.severity} | {each.meaning} | {each.remedy} |" for each in CODES.values()}
    assert set(rows) == expected, "make generated"


def test_findings_come_the_worst_first(tmp_path):
    case = {
        "template": {"3": {"inputs": {"denoise": None}}},
        "map": {"expects": {"3": None}, "outputs": {"x": {"node": "99"}}},
    }
    severities = [each.severity for each in check_case(tmp_path, case)]
    assert severities == sorted(severities, key=("error", "warning", "note").index)
    assert len(set(severities)) == 3


@pytest.mark.parametrize(
    ("template", "parameter_map", "code", "file", "says"),
    [
        (None, BASE, "missing_file", "schemas/made.json", "there is no templates/made.json"),
        (sampler_graph(), None, "missing_file", "templates/made.json", "there is no schemas/made.json"),
        ("{", BASE, "unreadable", "templates/made.json", "not JSON"),
        (sampler_graph(), "{", "unreadable", "schemas/made.json", "not JSON"),
        (sampler_graph(), "[]", "invalid_map", "schemas/made.json", "a parameter map is a JSON object"),
        ("[]", BASE, "invalid_template", "templates/made.json", "a graph is a JSON object"),
    ],
)
def test_files_that_are_none(tmp_path, template, parameter_map, code, file, says):
    for part in ("templates", "schemas"):
        (tmp_path / part).mkdir()
    found = check(write_workflow(tmp_path, "made", template, parameter_map))
    assert [(each.code, each.file) for each in found if each.severity == "error"] == [(code, file)]
    assert says in found[0].message


def test_a_broken_template_does_not_hide_a_broken_map(tmp_path):
    found = check(write_workflow(tmp_path, "made", "{", {"parameters": {"Steps": {"type": "integer"}}}))
    assert {(each.code, each.file) for each in found} == {
        ("unreadable", "templates/made.json"),
        ("invalid_map", "schemas/made.json"),
    }


@pytest.mark.parametrize("depth", [300, 900, 30_000])
def test_nothing_is_nested_too_deeply_to_be_told(tmp_path, depth):
    nested = f"{'[' * depth}{']' * depth}"
    graph = json.dumps(sampler_graph()).replace("156680208700286", nested)
    assert nested in graph
    write_workflow(tmp_path, "template", graph, BASE)
    write_workflow(tmp_path, "map", sampler_graph(), f'{{"parameters": {{}}, "versio": {nested}}}')
    assert {each.code for each in check(tmp_path, "map")} <= {"unreadable", "invalid_map"}
    assert {each.code for each in check(tmp_path, "template")} <= {"unreadable", "invalid_map"}
    assert check(tmp_path, "map")


@pytest.mark.parametrize("name", ["txt2img", "img2img", "resize"])
def test_nothing_is_found_in_what_is_shipped(name):
    assert not check(ROOT, name)


CORPUS = sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))
# What is true of graphs by others with an empty map: classes of packs, classes that grew inputs, and the rest unsaid.
TRUE_OF_THEM = {"unknown_class", "unlisted_model", "missing_input", "no_parameters", "unneeded_nodes"}


@pytest.mark.skipif(not CORPUS, reason="the corpus of graphs is not beside the repository")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_real_graphs_get_no_false_alarm(tmp_path, path):
    found = check(write_workflow(tmp_path, "made", path.read_text(), {"parameters": {}}))
    errors = [each.code for each in found if each.severity == "error"]
    assert errors == (["invalid_template"] if "not_api" in path.stem else [])
    assert {each.code for each in found if each.severity != "error"} <= TRUE_OF_THEM
