"""A map for a graph that was exported anew: what names a node follows it, all else stays, and nothing goes silently."""

import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.workflows import ROOT, SHARED, sampler_graph

from engine.authoring.discovery import draft_map
from engine.authoring.matching import match_nodes
from engine.authoring.merging import graph_of_map, merge
from engine.authoring.references import nodes_named
from engine.graph import as_link, parse_graph
from engine.map_file import parse_map
from engine.nodes import load_catalogue
from engine.workflow import Workflow

NODES = load_catalogue()
SHIPPED = ("txt2img", "img2img", "resize")


def shipped(name):
    return tuple(json.loads((ROOT / part / f"{name}.json").read_text()) for part in ("templates", "schemas"))


def corpus_graphs():
    """The API graphs among those of other people."""
    for path in sorted((SHARED / "corpus" / "api_workflows").glob("*.json")):
        document = json.loads(path.read_text())
        if "nodes" not in document:
            yield pytest.param(parse_graph(document, label=path.name), id=path.stem)


CORPUS = list(corpus_graphs())


def renumbered(graph, ids):
    """The graph under other ids, in the order of the ids given."""

    def moved(value):
        return [ids[value[0]], value[1]] if as_link(value) and value[0] in ids else copy.deepcopy(value)

    return {
        ids[node_id]: {
            **graph[node_id],
            "inputs": {name: moved(value) for name, value in graph[node_id].get("inputs", {}).items()},
        }
        for node_id in ids
    }


def shuffled_ids(graph, rng):
    """New ids for all nodes, some of which others had before, in any order."""
    ids = list(graph)
    rng.shuffle(ids)
    return dict(
        zip(ids, rng.sample([*graph, *(f"{number}:{number + 1}" for number in range(len(ids)))], len(ids)), strict=True)
    )


def without_node(graph, gone):
    """The graph as the editor exports it once a node is deleted."""
    return {
        node_id: {
            **node,
            "inputs": {
                name: value
                for name, value in node.get("inputs", {}).items()
                if not (as_link(value) and value[0] == gone)
            },
        }
        for node_id, node in graph.items()
        if node_id != gone
    }


def rendered(graph, document):
    """What the map makes of its own template."""
    workflow = Workflow("made", graph, parse_map(document, label="map"), NODES)
    payload = workflow.examples[0].payload if workflow.examples else {}
    seeds = {name: 7 for name, each in workflow.parameters.items() if each.type == "seed"}
    return workflow.render(workflow.validate({**payload, **seeds}))


def assert_same_render(graph, document, ids):
    merged = merge(document, graph, renumbered(graph, ids), NODES)
    assert not merged.lost
    assert rendered(renumbered(graph, ids), merged.document) == renumbered_as_rendered(graph, document, ids)


def renumbered_as_rendered(graph, document, ids):
    before = rendered(graph, document)
    return renumbered(
        before,
        {old: new for old, new in ids.items() if old in before}
        | {node_id: node_id for node_id in before if node_id not in ids},
    )


@pytest.mark.parametrize("name", SHIPPED)
@settings(max_examples=15)
@given(rng=st.randoms(use_true_random=False))
def test_a_map_follows_its_nodes_to_whatever_ids(name, rng):
    graph, document = shipped(name)
    assert_same_render(graph, document, shuffled_ids(graph, rng))


@pytest.mark.skipif(not CORPUS, reason="needs the corpus")
@pytest.mark.parametrize("graph", CORPUS)
def test_drafts_of_other_peoples_graphs_follow_too(graph):
    document = draft_map(graph, NODES).document
    ids = shuffled_ids(graph, random.Random(1))
    merged = merge(document, graph, renumbered(graph, ids), NODES)
    assert not merged.lost
    assert merged.nodes == {node_id: ids[node_id] for node_id in graph}
    assert list(merged.document["parameters"]) == list(document["parameters"])


@pytest.mark.skipif(not CORPUS, reason="needs the corpus")
@pytest.mark.parametrize("graph", CORPUS)
def test_whatever_node_goes_all_that_named_it_is_told(graph):
    document = draft_map(graph, NODES).document
    for gone in list(graph)[:: max(1, len(graph) // 8)]:
        merged = merge(document, graph, without_node(graph, gone), NODES)
        assert merged.nodes == {node_id: node_id for node_id in graph if node_id != gone}
        told = "\n".join([*map(str, merged.lost), *merged.notes])
        if gone in nodes_named(document):
            assert f"({gone})" in told
        assert gone not in nodes_named(merged.document)


@pytest.fixture
def case():
    """The graph and map of txt2img, to be changed."""
    return shipped("txt2img")


def test_the_same_graph_changes_nothing(case):
    graph, document = case
    merged = merge(document, graph, copy.deepcopy(graph), NODES)
    assert (merged.document, merged.moved, merged.lost, merged.notes) == (document, (), (), ())


def test_the_words_of_the_author_stay(case):
    graph, document = case
    ids = shuffled_ids(graph, random.Random(3))
    made = merge(document, graph, renumbered(graph, ids), NODES).document

    def bare(each):
        return {key: value for key, value in each.items() if key != "bind"}

    assert [(name, bare(each)) for name, each in made["parameters"].items()] == [
        (name, bare(each)) for name, each in document["parameters"].items()
    ]
    assert {key: value for key, value in made.items() if key not in ("parameters", "outputs", "expects")} == {
        key: value for key, value in document.items() if key not in ("parameters", "outputs", "expects")
    }


def test_prompts_whose_ids_changed_places_are_not_mixed_up(case):
    graph, document = case
    ids = {node_id: node_id for node_id in graph} | {"6": "7", "7": "6"}
    new = renumbered(graph, ids)
    new["20"] = {"class_type": "LoraLoader", "inputs": {"lora_name": "x", "model": ["4", 0], "clip": ["4", 1]}}
    new["3"]["inputs"]["model"] = ["20", 0]
    new["3"]["inputs"]["seed"] = 99
    parameters = merge(document, graph, new, NODES).document["parameters"]
    assert parameters["prompt"]["bind"] == "$['7'].inputs.text"
    assert parameters["negative_prompt"]["bind"] == "$['6'].inputs.text"


def test_wires_that_were_swapped_leave_the_nodes_what_they_are(case):
    graph, document = case
    new = copy.deepcopy(graph)
    inputs = new["3"]["inputs"]
    inputs["positive"], inputs["negative"] = inputs["negative"], inputs["positive"]
    assert merge(document, graph, new, NODES).document == document


def test_a_node_that_is_replaced_by_one_of_its_class_is_found(case):
    graph, document = case
    new = renumbered(graph, {node_id: node_id for node_id in graph} | {"9": "42"})
    new["42"]["inputs"]["filename_prefix"] = "other"
    new["42"]["_meta"] = {"title": "Mine"}
    assert merge(document, graph, new, NODES).document["outputs"] == {"image": {"node": "42", "kind": "image"}}


def test_every_kind_of_reference_follows():
    graph = sampler_graph()
    document = {
        "parameters": {
            "a": {"type": "string", "bind": ["$['6'].inputs.text", {"path": '$["7"].inputs.text'}], "default": ""},
            "seed": {"type": "seed", "bind": {"path": "$['3', '3'].inputs.seed", "match": "all"}},
            "titled": {"type": "integer", "bind": "$[?(@.class_type=='EmptyLatentImage')].inputs.width"},
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "computed": {
            "$['3'].inputs.model": {"expression": "['4', 0] if seed > 3 else [\"4\", 0]", "replaces_link": True},
            "$['5'].inputs.height": "titled * [1, 2][0] if '4' else 3",
        },
        "switches": {"s": {"when": "seed > 3", "bypass": ["8"], "remove": ["9"], "through": {"8": {"samples": 0}}}},
        "repeat": {"5": {"over": "names", "set": {"width": "8"}}},
        "outputs": {"image": {"node": "9"}},
        "expects": {"3": "KSampler"},
    }
    ids = {node_id: f"1{node_id}:1" for node_id in graph}
    merged = merge(document, graph, renumbered(graph, ids), NODES)
    text = json.dumps(merged.document)
    assert not merged.lost
    assert merged.document["parameters"]["a"]["bind"] == [
        "$['16:1'].inputs.text",
        {"path": '$["17:1"].inputs.text'},
    ]
    assert merged.document["parameters"]["seed"]["bind"]["path"] == "$['13:1', '13:1'].inputs.seed"
    assert merged.document["parameters"]["titled"] == document["parameters"]["titled"]
    assert merged.document["computed"] == {
        "$['13:1'].inputs.model": {
            "expression": "['14:1', 0] if seed > 3 else [\"14:1\", 0]",
            "replaces_link": True,
        },
        "$['15:1'].inputs.height": "titled * [1, 2][0] if '4' else 3",
    }
    assert merged.document["switches"]["s"] == {
        "when": "seed > 3",
        "bypass": ["18:1"],
        "remove": ["19:1"],
        "through": {"18:1": {"samples": 0}},
    }
    assert list(merged.document["repeat"]) == ["15:1"]
    assert merged.document["outputs"] == {"image": {"node": "19:1"}}
    assert merged.document["expects"] == {"13:1": "KSampler"}
    assert set(nodes_named(merged.document)) == {"13:1", "14:1", "15:1", "16:1", "17:1", "18:1", "19:1"}
    assert "'3'" not in text


def test_what_a_node_takes_with_it_is_listed(case):
    graph, document = case
    document["computed"] = {"$['5'].inputs.height": "width * 2"}
    del document["parameters"]["height"]
    document["rules"] = [{"that": "width < 999", "message": "too wide"}]
    merged = merge(document, graph, without_node(graph, "5"), NODES)
    assert {each.where for each in merged.lost} == {
        "computed.$['5'].inputs.height",
        "parameters.width.bind",
        "parameters.batch_size.bind",
        "rules[0]",
        "examples[1].payload.width",
        "examples[1].payload.batch_size",
    }
    parse_map(merged.document, label="map")
    assert "width" not in json.dumps(merged.document["examples"][1]["payload"])


def test_a_parameter_that_is_still_used_keeps_the_value_it_had(case):
    graph, document = case
    document["computed"] = {"$['5'].inputs.height": "steps * 8"}
    del document["parameters"]["height"], document["rules"], document["examples"][1]
    new = copy.deepcopy(graph)
    del new["3"]["inputs"]["steps"]
    merged = merge(document, graph, new, NODES)
    assert [each.where for each in merged.lost] == ["parameters.steps.bind"]
    assert merged.document["parameters"]["steps"]["default"] == graph["3"]["inputs"]["steps"]
    Workflow("made", new, parse_map(merged.document, label="map"), NODES)


def test_an_input_that_became_a_link_is_lost_with_the_reason(case):
    graph, document = case
    new = copy.deepcopy(graph)
    new["30"] = {"class_type": "PrimitiveInt", "inputs": {"value": 20}}
    new["3"]["inputs"]["steps"] = ["30", 0]
    (lost, *_) = merge(document, graph, new, NODES).lost
    assert lost.where == "parameters.steps.bind"
    assert "holds a link to PrimitiveInt (30)" in lost.message


def test_an_input_that_had_to_be_made_and_is_there_now(case):
    graph, document = case
    del graph["3"]["inputs"]["denoise"]
    new = sampler_graph()
    document["parameters"]["denoise"] = {
        "type": "number",
        "default": 1,
        "bind": {"path": "$['3'].inputs.denoise", "create": True},
    }
    merged = merge(document, graph, new, NODES)
    assert not merged.lost
    assert merged.document["parameters"]["denoise"]["bind"] == {"path": "$['3'].inputs.denoise"}
    Workflow("made", new, parse_map(merged.document, label="map"), NODES)


def test_a_filter_that_finds_nothing_any_more_becomes_the_node_it_found(case):
    graph, document = case
    graph["6"]["_meta"]["title"] = "Positive"
    document["parameters"]["prompt"]["bind"] = "$[?(@._meta.title=='Positive')].inputs.text"
    new = copy.deepcopy(graph)
    new["6"]["_meta"]["title"] = "Wanted"
    merged = merge(document, graph, new, NODES)
    assert merged.document["parameters"]["prompt"]["bind"] == "$['6'].inputs.text"
    assert "leads nowhere any more" in merged.notes[0]


def test_a_filter_that_finds_another_node_is_told(case):
    graph, document = case
    graph["6"]["_meta"]["title"] = "Positive"
    document["parameters"]["prompt"]["bind"] = "$[?(@._meta.title=='Positive')].inputs.text"
    new = copy.deepcopy(graph)
    new["6"]["_meta"]["title"], new["7"]["_meta"]["title"] = "Other", "Positive"
    merged = merge(document, graph, new, NODES)
    assert "$['7'].inputs.text now" in merged.notes[0]


def test_without_the_old_graph_the_classes_that_the_map_expects_find_the_nodes(case):
    graph, document = case
    new = renumbered(graph, {node_id: node_id for node_id in graph} | {"3": "33", "9": "99"})
    merged = merge(document, graph_of_map(document), new, NODES)
    assert not merged.lost
    assert merged.document["parameters"]["seed"]["bind"] == "$['33'].inputs.seed"
    assert merged.document["outputs"]["image"]["node"] == "99"


def test_a_map_without_expects_follows_as_well(case):
    graph, document = case
    del document["expects"]
    ids = shuffled_ids(graph, random.Random(5))
    merged = merge(document, graph, renumbered(graph, ids), NODES)
    assert not merged.lost
    assert "expects" not in merged.document


def test_another_workflow_is_told_apart(case):
    graph, document = case
    merged = merge(document, graph, shipped("resize")[0], NODES)
    assert merged.is_other
    assert not merge(document, graph, shipped("img2img")[0], NODES).is_other


@given(rng=st.randoms(use_true_random=False))
def test_no_node_is_found_twice(rng):
    graph = sampler_graph()
    other = renumbered(graph, shuffled_ids(graph, rng)) | renumbered(graph, {each: f"b{each}" for each in graph})
    found = match_nodes(graph, other)
    assert len(set(found.values())) == len(found)
    assert all(graph[old]["class_type"] == other[new]["class_type"] for old, new in found.items())
