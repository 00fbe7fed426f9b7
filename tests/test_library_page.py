"""The pages about the library are current, their calls work, and a level is never more than what was seen."""

import copy
import importlib.util
import json
import re
import shlex

import pytest
from support.levels import updated
from support.library import CATALOG, NAMES
from support.operator_workflows import everything_graph, everything_map, loras
from support.variants import Variant, never_turned, variants
from support.workflows import ROOT, make_workflow

from engine.authoring.describing import example_payload, parameter_rows, with_short_files
from engine.authoring.levels import fingerprint, standings
from engine.authoring.library_page import Card, command_line
from engine.commands.payloads import payload_from

ACCEPTED = {"level": "accepted", "fingerprint": "new"}
RAN = {"level": "ran", "fingerprint": "new"}


@pytest.fixture(scope="module")
def library():
    specification = importlib.util.spec_from_file_location("library", ROOT / "docs" / "library.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_pages_and_pictures_are_current(library):
    pages = library.pages()
    there = {f"graphs/{path.name}" for path in (ROOT / "docs" / "graphs").glob("*.svg")}
    assert there == {name for name in pages if name.startswith("graphs/")}, "make generated"
    stale = [name for name, text in pages.items() if (ROOT / "docs" / name).read_text(encoding="utf-8") != text]
    assert not stale, "make generated"


def test_every_workflow_has_a_card_with_a_picture_and_a_level():
    page = (ROOT / "docs" / "library.md").read_text()
    cards = dict(zip(*[iter(re.split(r"^## (.+)$", page, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert {*NAMES} == {*cards} - {"Levels"}
    for name in NAMES:
        assert f"](graphs/{name}.svg)" in cards[name]
        assert (CATALOG[name].gates.said in cards[name]) == bool(CATALOG[name].gates)
        assert all(f" of {gate.output} " in cards[name] for gate in CATALOG[name].gates.entries)
        assert re.search(r"^- Level: (ran|accepted|checked|unverified)", cards[name], re.MULTILINE)
        assert [f"`{row.name}`" for row in parameter_rows(CATALOG[name])] == re.findall(
            r"^\| (`\S+`) \|", cards[name], re.MULTILINE
        )


def test_the_readme_names_every_workflow_once():
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## The library") :].partition("\n## ")[0]
    told = [name for row in re.findall(r"^\| [^|]+ \| (.+) \|$", section, re.MULTILINE) for name in row.split(", ")]
    assert sorted(name.strip("`") for name in told[1:]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_both_calls_of_a_card_have_the_payload_of_the_first_example(name):
    workflow = CATALOG[name]
    shown = with_short_files(workflow, example_payload(workflow)[0])
    page = (ROOT / "docs" / "library.md").read_text()
    command = re.search(rf"^engine run {name} .*$", page, re.MULTILINE)[0]
    sent = [word for word in shlex.split(command) if word not in ("engine", "run", name, "-p")]
    assert payload_from(workflow, sent, None) == shown
    assert json.dumps({"workflow": name, "payload": shown}, ensure_ascii=False) in page


def test_a_call_keeps_what_a_shell_or_the_command_line_would_read(tmp_path):
    workflow = make_workflow(tmp_path, everything_map(), everything_graph())
    payload = {"prompt": "@'$(rm -rf)'\n`x`", "steps": 3, "strength": 0.5, "loras": loras(2), "image": None}
    sent = [word for word in shlex.split(command_line(workflow, payload))[3:] if word != "-p"]
    assert payload_from(workflow, sent, None) == payload


def test_a_parameter_has_one_type_and_one_group_in_all_workflows():
    found = {}
    for name in NAMES:
        for row in parameter_rows(CATALOG[name]):
            found.setdefault(row.name, []).append((name, row))
    for name, uses in found.items():
        assert len({row.type for _, row in uses}) == 1, (name, uses)
        assert len({row.group for _, row in uses}) == 1, (name, uses)


def test_a_level_counts_for_the_files_that_reached_it():
    recorded = {"0.8.0": {"a": RAN}, "0.3.64": {"a": {**ACCEPTED, "fingerprint": "old"}}}
    told = standings("a", "new", recorded, checked=["0.8.0", "0.3.64"], release="0.8.0")
    assert [(each.version, str(each)) for each in told] == [
        ("0.8.0", "ran"),
        ("0.3.64", "checked (changed since it was accepted)"),
    ]
    told = standings("a", "newer", recorded, checked=[], release="0.8.0")
    assert str(told[0]) == "unverified (changed since it ran)"
    told = standings("b", "new", recorded, checked=["0.8.0", "0.3.64"], release="0.8.0")
    assert [(each.version, str(each)) for each in told] == [("0.8.0", "checked")]


def test_a_workflow_for_an_older_comfyui_is_not_said_to_be_checked_by_the_release():
    told = standings("a", "new", {}, checked=["0.3.64"], release="0.8.0")
    assert [(each.version, str(each)) for each in told] == [("0.8.0", "unverified"), ("0.3.64", "checked")]
    told = standings("a", "new", {"0.3.64": {"a": ACCEPTED}}, checked=["0.3.64"], release="0.8.0")
    assert Card(CATALOG["portrait_pulid"], told).shown("0.8.0") == "accepted (ComfyUI 0.3.64)"


@pytest.mark.parametrize("level", ["checked", "unverified", "perfect"])
def test_a_level_that_no_comfyui_has_to_show_can_not_be_written_down(level):
    recorded = {"0.8.0": {"a": {"level": level, "fingerprint": "new"}}}
    assert [str(each) for each in standings("a", "new", recorded, checked=[], release="0.8.0")] == ["unverified"]


def test_versions_are_told_from_the_newest_on():
    recorded = {version: {"a": RAN} for version in ("0.3.64", "0.10.0", "0.8.0")}
    told = standings("a", "new", recorded, checked=["0.8.0"], release="0.8.0")
    assert [each.version for each in told] == ["0.10.0", "0.8.0", "0.3.64"]


def test_a_fingerprint_is_of_what_the_files_say_and_not_of_their_layout():
    one = fingerprint({"1": {"class_type": "A", "inputs": {}}}, {"parameters": {}})
    assert one == fingerprint({"1": {"inputs": {}, "class_type": "A"}}, {"parameters": {}})
    assert one != fingerprint({"1": {"inputs": {"x": 1}, "class_type": "A"}}, {"parameters": {}})


MAP = {
    "$schema": "parameter-map.schema.json",
    "title": "Old",
    "description": "Old.",
    "version": "1.0",
    "parameters": {
        "title": {"type": "string", "bind": "$['1'].inputs.x", "group": "Old", "description": "Old."},
        "loras": {
            "type": "array",
            "items": {"type": "object", "properties": {"description": {"type": "string", "description": "Old."}}},
        },
    },
    "rules": [{"that": "len(loras) < 3", "message": "Old."}],
    "outputs": {"title": {"node": "9", "title": "Old", "description": "Old."}},
    "accept": [{"check": "not_black"}],
    "requires": {
        "models": [{"path": "loras/a.safetensors", "url": "https://old.example/a", "source": "Old."}],
        "gpu": {"memory_gb": 8, "source": "Old."},
    },
    "examples": [{"title": "Old", "description": "Old.", "payload": {"title": "a fox"}}],
}


def of_map(*path, value):
    """The fingerprint of a graph with `MAP`, in which one value is another."""
    changed = copy.deepcopy(MAP)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return fingerprint({"1": {"class_type": "A", "inputs": {}}}, changed)


@pytest.mark.parametrize(
    "path",
    [
        ("$schema",),
        ("title",),
        ("description",),
        ("version",),
        ("timeout_seconds",),
        ("accept",),
        ("retries",),
        ("parameters", "title", "description"),
        ("parameters", "title", "group"),
        ("parameters", "loras", "items", "properties", "description", "description"),
        ("rules", 0, "message"),
        ("outputs", "title", "title"),
        ("outputs", "title", "description"),
        ("requires", "gpu"),
        ("requires", "models", 0, "url"),
        ("requires", "models", 0, "source"),
        ("examples", 0, "title"),
        ("examples", 0, "description"),
    ],
)
def test_what_is_corrected_in_the_words_leaves_the_level(path):
    assert of_map(*path, value="New") == of_map("title", value="Old")


@pytest.mark.parametrize(
    "path",
    [
        ("computed",),
        ("switches",),
        ("what_comes_one_day",),
        ("parameters", "title"),
        ("parameters", "title", "bind"),
        ("parameters", "title", "default"),
        ("parameters", "loras", "maxItems"),
        ("parameters", "loras", "items", "properties", "description", "type"),
        ("rules", 0, "that"),
        ("outputs", "title", "node"),
        ("requires", "models", 0, "path"),
        ("examples", 0, "payload", "title"),
    ],
)
def test_what_makes_another_graph_takes_the_level_away(path):
    value = {"type": "string"} if path == ("parameters", "title") else "loras/b.safetensors"
    assert of_map(*path, value=value) != of_map("title", value="Old")


@pytest.mark.parametrize(
    ("before", "tried", "after"),
    [
        (None, {"accepted": "new"}, ACCEPTED),
        (None, {"accepted": "new", "ran": "new"}, RAN),
        (ACCEPTED, {"ran": "new"}, RAN),
        (RAN, {"accepted": "new"}, RAN),  # what was not tried again stays
        (RAN, {"accepted": "newer"}, {**ACCEPTED, "fingerprint": "newer"}),
        (RAN, {"accepted": "new", "ran": None}, ACCEPTED),
        (ACCEPTED, {"accepted": "new", "ran": "newer"}, ACCEPTED),
        (RAN, {"accepted": None, "ran": None}, None),
        (RAN, {"accepted": None}, None),
        (RAN, {"accepted": None, "ran": "new"}, None),  # a variant was refused
        (ACCEPTED, {"ran": "newer"}, ACCEPTED),  # whether the changed files are accepted was not tried
        (None, {"ran": "new"}, None),
        (RAN, {"ran": None}, None),
        (None, {"accepted": None}, None),
    ],
)
def test_a_run_writes_down_what_was_reached_and_takes_back_what_was_not(before, tried, after):
    found = updated({"other": RAN} | ({"a": before} if before else {}), {"a": tried})
    assert found == {"other": RAN} | ({"a": after} if after else {})


def test_variants_turn_every_operator_of_a_workflow_that_has_all(tmp_path):
    workflow = make_workflow(tmp_path, everything_map(), everything_graph())
    tried = variants(workflow)
    assert not never_turned(workflow, tried)
    assert all(each.rendered(workflow) for each in tried)
    assert len({json.dumps(each.payload, sort_keys=True) for each in tried}) == len(tried)


def test_what_a_part_of_the_variants_misses_is_told(tmp_path):
    workflow = make_workflow(tmp_path, everything_map(), everything_graph())
    missed = never_turned(workflow, [Variant("one", {"prompt": "a", "loras": loras(1)})])
    switches, [node_id] = workflow.parameter_map.switches, workflow.parameter_map.repeat
    assert {(node_id, 0), (node_id, workflow.parameters["loras"].max_items)} <= missed
    assert all(sum(each[0] == name for each in missed) == 1 for name in switches)


@pytest.mark.parametrize("name", ["flux_kontext", "ltx_video", "resize", "wan22_i2v"])
def test_a_link_that_is_always_the_same_is_missed(name):
    workflow = CATALOG[name]
    missed = never_turned(workflow, variants(workflow)[:1])
    links = {path for path, each in workflow.parameter_map.computed.items() if getattr(each, "replaces_link", False)}
    assert links
    assert links <= {each[0] for each in missed}
