"""A changed export added again: what authors change in ComfyUI, and what becomes of their map."""

import copy
import json

import pytest
from support.workflows import ROOT

from engine import Catalog
from engine.authoring.discovery import draft_map
from engine.authoring.exports import read_export
from engine.authoring.questions import Interview
from engine.authoring.saving import save_all
from engine.catalog import Source
from engine.commands.add_plans import Given, Wishes, plan
from engine.commands.add_report import print_report
from engine.errors import InvalidMap
from engine.nodes import load_catalogue

NODES = load_catalogue()
MAP = {
    "title": "Poster",
    "parameters": {
        "motif": {
            "type": "string",
            "title": "The motif",
            "required": True,
            "maxLength": 90,
            "bind": "$['6'].inputs.text",
        },
        "seed": {"type": "seed", "bind": "$['3'].inputs.seed"},
    },
    "outputs": {"poster": {"node": "9", "kind": "image"}},
    "expects": {"3": "KSampler", "6": "CLIPTextEncode", "9": "SaveImage"},
    "examples": [{"title": "A cat", "payload": {"motif": "a cat"}}],
}


@pytest.fixture
def graph():
    return json.loads((ROOT / "templates" / "txt2img.json").read_text())


@pytest.fixture
def source(tmp_path, graph):
    """The author's workflow, as it is before the export is added again."""
    made = Source("poster", tmp_path)
    save_all({made.template: json.dumps(graph).encode(), made.map: json.dumps(MAP).encode()})
    return made


def given(graph, *, interview=None, **wishes):
    export = read_export(json.dumps(graph).encode(), name="poster.json")
    return Given(export, None, draft_map(export.graph, NODES), NODES, Wishes(**wishes), interview)


def added(source, graph, **options):
    made = plan(source, given(graph, **options))
    save_all(made.files)
    Catalog([source.folder])["poster"]  # it loads, its examples included
    return made, json.loads(source.map.read_text())


def with_other_encoder(graph):
    changed = copy.deepcopy(graph)
    changed["6"] = {
        "class_type": "CLIPTextEncodeFlux",
        "inputs": {"clip_l": "a cat", "t5xxl": "a cat", "guidance": 3.5, "clip": ["4", 1]},
    }
    return changed


def with_linked_text(graph):
    changed = copy.deepcopy(graph)
    changed["70"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a cat"}}
    changed["6"]["inputs"]["text"] = ["70", 0]
    return changed


CHANGES = [
    pytest.param(with_other_encoder, ["$['6'].inputs.clip_l", "$['6'].inputs.t5xxl"], id="another class"),
    pytest.param(with_linked_text, "$['70'].inputs.value", id="a text that is linked"),
]


@pytest.mark.parametrize(("change", "bind"), CHANGES)
def test_a_parameter_whose_node_is_replaced_keeps_its_authors_words(source, graph, change, bind):
    made, document = added(source, change(graph), new=True)
    assert document["parameters"]["motif"] == {**MAP["parameters"]["motif"], "bind": bind}
    assert document["examples"] == MAP["examples"]
    assert not made.merge.lost
    assert any(text.startswith("motif goes to ") for text in made.merge.moved)


@pytest.mark.parametrize(("change", "bind"), CHANGES)
def test_unless_it_is_wished_nothing_is_written_and_the_way_is_told(source, graph, change, bind):
    before = source.map.read_bytes()
    with pytest.raises(InvalidMap) as caught:
        plan(source, given(change(graph)))
    assert "with --new, motif goes to " in caught.value.hint
    assert source.map.read_bytes() == before
    assert all("write the value there" not in problem.message for problem in caught.value.problems)


def test_it_is_asked_where_questions_are(source, graph):
    asked = []

    def ask(text):
        asked.append(text)
        return "y"

    interview = Interview(graph, NODES, ask=ask, say=lambda _: None)
    _, document = added(source, with_linked_text(graph), interview=interview)
    assert document["parameters"]["motif"]["bind"] == "$['70'].inputs.value"
    assert asked[0].startswith("Motif goes to PrimitiveStringMultiline (70).value?")


def test_of_two_prompts_none_is_taken(source, graph):
    changed = with_linked_text(graph)
    changed["70"]["inputs"]["value"] = "a dog"
    changed["71"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "in oil"}}
    changed["72"] = {
        "class_type": "StringConcatenate",
        "inputs": {"string_a": ["70", 0], "string_b": ["71", 0], "delimiter": ""},
    }
    changed["6"]["inputs"]["text"] = ["72", 0]
    with pytest.raises(InvalidMap) as caught:
        plan(source, given(changed, new=True))
    assert "goes to" not in caught.value.hint


def test_a_second_stage_gets_the_seed_as_well(source, graph):
    changed = copy.deepcopy(graph)
    changed["20"] = copy.deepcopy(graph["3"])
    changed["20"]["inputs"] |= {"latent_image": ["3", 0], "denoise": 0.4, "seed": 99}
    changed["8"]["inputs"]["samples"] = ["20", 0]
    made, document = added(source, changed)
    assert "seed" in made.fresh["parameters"]
    assert document["parameters"]["seed"]["bind"] == "$['3'].inputs.seed"
    source.template.write_text(json.dumps(graph))
    _, document = added(source, changed, new=True)
    assert document["parameters"]["seed"]["bind"] == ["$['3'].inputs.seed", "$['20'].inputs.seed"]
    assert document["expects"]["20"] == "KSampler"


def test_an_output_of_another_class_is_declared_again(source, graph):
    changed = copy.deepcopy(graph)
    changed["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}
    _, document = added(source, changed, new=True, drop_lost=True)
    assert document["outputs"] == {"image": {"node": "9", "kind": "image"}}
    assert document["expects"]["9"] == "SaveImageWebsocket"


def test_new_outputs_get_names_of_their_own(source, graph):
    document = json.loads(source.map.read_text())
    document["outputs"] = {"image": document["outputs"]["poster"]}
    source.map.write_text(json.dumps(document))
    saves = {
        each: {"class_type": "SaveImage", "inputs": {"filename_prefix": each, "images": ["8", 0]}} for each in "ab"
    }
    _, document = added(source, saves | graph, new=True)
    assert sorted(each["node"] for each in document["outputs"].values()) == ["9", "a", "b"]


def test_what_is_new_is_told_as_it_is_to_be_written_once_its_export_is_the_template(source, graph, capsys):
    changed = copy.deepcopy(graph)
    changed["20"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "b", "images": ["8", 0]}}
    made = plan(source, given(changed))
    print_report(made, NODES, written=False, replaces=[])
    assert "--new adds what is new" in capsys.readouterr().out
    print_report(made, NODES, written=True, replaces=[])
    said = capsys.readouterr().out
    assert "--new" not in said
    assert '  outputs: "image_2": {"node": "20", "kind": "image"}' in said


def test_a_rendered_graph_is_told_from_a_template(source, graph):
    changed = copy.deepcopy(graph)
    changed["4#2"] = copy.deepcopy(graph["4"])
    changed["3"]["inputs"]["model"] = ["4#2", 0]
    made, _ = added(source, changed)
    assert any("rendered graph" in note and "CheckpointLoaderSimple (4#2)" in note for note in made.notes)


def test_a_lora_that_joins_a_chain_is_told(tmp_path, graph):
    for number, before in (("30", ["4", 0]), ("31", ["30", 0])):
        graph[number] = {
            "class_type": "LoraLoader",
            "inputs": {"lora_name": f"{number}.safetensors", "strength_model": 1.0, "strength_clip": 1.0},
        }
        graph[number]["inputs"] |= {"model": before, "clip": [before[0], 1]}
    graph["3"]["inputs"]["model"] = ["31", 0]
    graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["31", 1]
    source = Source("poster", tmp_path)
    added(source, graph)
    changed = copy.deepcopy(graph)
    changed["32"] = copy.deepcopy(graph["31"])
    changed["32"]["inputs"] |= {"lora_name": "32.safetensors", "model": ["31", 0], "clip": ["31", 1]}
    changed["3"]["inputs"]["model"] = ["32", 0]
    changed["6"]["inputs"]["clip"] = changed["7"]["inputs"]["clip"] = ["32", 1]
    made, document = added(source, changed)
    assert set(document["repeat"]) == {"30", "31"}
    assert any(note.startswith("LoraLoader (32) is new beside LoraLoader (30)") for note in made.notes)
