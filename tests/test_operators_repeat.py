"""Repeated nodes: what the copies are linked to, and whose mistake it is where items don't fit."""

import copy

import pytest
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import make_workflow

from engine.errors import InvalidMap, InvalidPayload, RenderFailed
from engine.rewiring import lined_up


def rendered(workflow, **payload):
    return workflow.render(workflow.validate({"prompt": "a harbour", **payload}))


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def problems_of(caught):
    return {problem.where: problem.message for problem in caught.value.problems}


def hooks_graph():
    """The LoRA of `CreateHookLora` (50), whose own `prev_hooks` the first of a row leaves empty."""
    graph = everything_graph()
    graph["50"] = node("CreateHookLora", lora_name="a.safetensors", strength_model=1.0, strength_clip=1.0)
    graph["51"] = node("SetClipHooks", clip=["10", 1], apply_to_conds=True, schedule_clip=False, hooks=["50", 0])
    for user in ("6", "7"):
        graph[user]["inputs"]["clip"] = ["51", 0]
    return graph


def hooks_map():
    document = everything_map()
    document["repeat"]["50"] = {"over": "loras", "set": {"lora_name": "item.name"}}
    return document


def test_an_optional_input_that_begins_empty_links_the_row_all_the_same(tmp_path):
    graph = rendered(make_workflow(tmp_path, hooks_map(), hooks_graph()), loras=loras(3))
    assert "prev_hooks" not in graph["50"]["inputs"]
    assert graph["50#2"]["inputs"]["prev_hooks"] == ["50", 0]
    assert graph["50#3"]["inputs"]["prev_hooks"] == ["50#2", 0]
    assert graph["51"]["inputs"]["hooks"] == ["50#3", 0]


def test_without_items_the_optional_link_goes(tmp_path):
    graph = rendered(make_workflow(tmp_path, hooks_map(), hooks_graph()))
    assert "50" not in graph
    assert "hooks" not in graph["51"]["inputs"]


def test_an_optional_input_stays_empty_where_nothing_uses_what_it_would_hand_on():
    graph = {"1": node("Their", model=["0", 0]), "2": node("User", model=["1", 0])}
    row = lined_up(graph, "1", {"model": 0, "clip": 1}, [{}, {}], taken=())
    assert graph[row[1]]["inputs"] == {"model": ["1", 0]}


def test_two_rows_one_behind_the_other(tmp_path):
    template, document = everything_graph(), everything_map()
    template["11"] = copy.deepcopy(template["10"])
    template["11"]["inputs"] |= {"model": ["10", 0], "clip": ["10", 1]}
    template["3"]["inputs"]["model"] = ["11", 0]
    document["parameters"]["more"] = copy.deepcopy(document["parameters"]["loras"])
    second = {**copy.deepcopy(document["repeat"]["10"]), "over": "more"}
    for index, rows in enumerate(
        ({"10": document["repeat"]["10"], "11": second}, {"11": second, **document["repeat"]})
    ):
        workflow = make_workflow(tmp_path / str(index), {**document, "repeat": rows}, template)
        graph = rendered(workflow, loras=loras(2), more=loras(2))
        assert graph["11"]["inputs"]["model"] == ["10#2", 0]
        assert graph["11#2"]["inputs"]["clip"] == ["11", 1]
        assert graph["3"]["inputs"]["model"] == ["11#2", 0]
        assert rendered(workflow, more=loras(2))["11"]["inputs"]["model"] == ["4", 0]
        assert rendered(workflow, loras=loras(2))["3"]["inputs"]["model"] == ["10#2", 0]
        assert rendered(workflow)["3"]["inputs"]["model"] == ["4", 0]
