"""Repeated nodes: what the copies are linked to, and whose mistake it is where items don't fit."""

import copy

import pytest
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import make_workflow

from engine.errors import InvalidMap, InvalidPayload, RenderFailed
from engine.rewiring import Wiring, users_of


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
    row = Wiring(graph, users_of(graph)).lined_up("1", {"model": 0, "clip": 1}, [{}, {}], taken=())
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


def changed(**changes):
    """The map of everything, with other settings of its list, its items (`name`, `strength`) or its repeat."""
    document = everything_map()
    parameter = document["parameters"]["loras"]
    parameter |= changes.get("loras", {})
    parameter["items"] |= changes.get("items", {})
    for name in ("name", "strength"):
        parameter["items"]["properties"][name] = changes.get(name, parameter["items"]["properties"][name])
    document["repeat"]["10"] |= changes.get("repeat", {})
    return document


@pytest.mark.parametrize(
    ("document", "where", "says"),
    [
        (
            changed(strength={"type": "number", "minimum": 200, "default": 300}),
            "parameters.loras.items.properties.strength",
            "its range is empty: at least 200, at most 100",
        ),
        (
            changed(strength={"type": "number", "default": 300}),
            "parameters.loras.items.properties.strength.default",
            "does not validate: must be at most 100",
        ),
        (changed(items={"default": None}), "repeat.10.set.lora_name", "an item of loras may be null and then has no"),
        (
            changed(loras={"minItems": 200, "maxItems": 300, "default": []}),
            "parameters.loras",
            "its range is empty: at least 200, at most 100",
        ),
        (
            changed(repeat={"set": {"lora_name": "item.name", "weights": "item"}}),
            "repeat.10.set.weights",
            "has no input weights",
        ),
    ],
)
def test_a_list_that_can_not_fit_its_node_is_refused(tmp_path, document, where, says):
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, everything_graph())
    assert says in problems_of(caught).get(where, ""), str(caught.value)


def test_no_value_is_set_where_an_empty_input_takes_a_link(tmp_path):
    document = everything_map()
    document["repeat"]["22"] = {"over": "loras", "set": {"vae": "item.name ~ ''"}}
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, everything_graph())
    assert problems_of(caught) == {"repeat.22.set.vae": "the input takes a link (VAE), no value"}


def test_the_texts_that_items_may_hold_are_ones_that_the_node_takes(tmp_path):
    document = changed(strength={"type": "string", "enum": ["nearest-exact", "bilineer"], "default": "nearest-exact"})
    document["repeat"] = {"30": {"over": "loras", "set": {"upscale_method": "item.strength"}}}
    with pytest.raises(InvalidMap, match=r'"bilineer" is no choice of ImageScaleBy\.upscale_method'):
        make_workflow(tmp_path, document, everything_graph())


def test_a_misspelt_key_of_an_item_is_found_without_the_class_in_the_catalogue(tmp_path):
    template = everything_graph()
    template["10"]["class_type"] = "TheirLoader"
    with pytest.raises(InvalidMap, match="the items of loras have no nam"):
        make_workflow(tmp_path, changed(repeat={"set": {"lora_name": "item.nam"}}), template)


def test_a_list_that_may_be_null_is_tried_empty_whatever_its_least(tmp_path):
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3, "default": None}
    document = everything_map()
    document["parameters"]["names"] = names
    document["repeat"]["9"] = {"over": "names", "set": {"filename_prefix": "item"}}
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, everything_graph())
    assert problems_of(caught) == {"repeat.9 with no item": "the output image goes with its node SaveImage (9)"}


def test_more_items_than_there_can_be_copies_are_the_callers_mistake(tmp_path):
    document = everything_map()
    del document["parameters"]["loras"]["maxItems"]
    workflow = make_workflow(tmp_path, document, everything_graph())
    assert workflow.payload_schema()["properties"]["loras"]["maxItems"] == 100
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate({"prompt": "x", "loras": [{"name": "x"}] * 101})
    assert problems_of(caught) == {"loras": "must have at most 100 items (got 101)"}


def test_what_goes_wrong_with_items_is_told_of_each(tmp_path):
    document = changed(repeat={"set": {"lora_name": "item.name", "strength_model": "100 / item.strength"}})
    workflow = make_workflow(tmp_path, document, everything_graph())
    items = [{"name": "a", "strength": strength} for strength in (0, 1, 0.5)]
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, loras=items)
    assert problems_of(caught) == {
        "repeat of LoraLoader (10), loras[0]": "strength_model: division by zero; computed by: 100 / item.strength",
        "repeat of LoraLoader (10), loras[2]": "strength_model: the input takes at most 100.0, the expression gives "
        "200.0; computed by: 100 / item.strength",
    }


def test_an_item_of_a_computed_list_is_told_by_its_number(tmp_path):
    document = changed(repeat={"over": "loras[:2]", "set": {"strength_model": "10 / item.strength"}})
    workflow = make_workflow(tmp_path, document, everything_graph())
    assert len([key for key in rendered(workflow, loras=loras(5)) if key.startswith("10")]) == 2
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, loras=[{"name": "a"}, {"name": "b", "strength": 0}])
    assert [problem.where for problem in caught.value.problems] == ["repeat of LoraLoader (10), item 2 of 2"]


def test_a_chain_that_hands_on_only_a_part_is_warned_of(tmp_path):
    document = changed(loras={"minItems": 1, "default": loras(1)}, repeat={"through": {"model": 0}})
    [warning] = make_workflow(tmp_path, document, everything_graph()).warnings
    assert warning.startswith(
        "repeat.10.through: output 1 (CLIP) is used, and of the copies only the last one's counts"
    )
    assert make_workflow(tmp_path / "whole", everything_map(), everything_graph()).warnings == ()


@pytest.mark.parametrize(
    "expression",
    ["['80', 0] if other else ['10', 0]", "[('80' if other else '10'), 0]", '["80", 0] if other else ["10", 0]'],
)
def test_a_row_that_only_a_computed_link_leads_to_is_linked_and_bypassed(tmp_path, expression):
    template, document = everything_graph(), everything_map()
    template["80"] = copy.deepcopy(template["10"])
    document["parameters"]["other"] = {"type": "boolean", "default": False}
    document["computed"]["$['3'].inputs.model"] = {"expression": expression, "replaces_link": True}
    document["repeat"]["80"] = {"over": "loras", "set": {"lora_name": "item.name"}}
    workflow = make_workflow(tmp_path, document, template)
    graph = rendered(workflow, loras=loras(3), other=True)
    assert graph["3"]["inputs"]["model"] == ["80#3", 0]
    assert graph["80#3"]["inputs"]["model"] == ["80#2", 0]
    assert graph["80#2"]["inputs"]["model"] == ["80", 0]
    assert rendered(workflow, other=True)["3"]["inputs"]["model"] == ["4", 0]
    assert "80" not in rendered(workflow, loras=loras(3))


@pytest.mark.parametrize("choices", ["LoraLoader.lora_name", False])
def test_what_is_held_to_another_list_is_held_to_the_inputs_too(tmp_path, choices):
    """The payload's validation knows the parameter's list alone; the copy must still be one that ComfyUI takes."""
    document = everything_map()
    document["parameters"]["methods"] = {
        "type": "array",
        "maxItems": 2,
        "default": [],
        "items": {"type": "object", "properties": {"name": {"type": "string", "required": True, "choices": choices}}},
    }
    document["repeat"]["30"] = {"over": "methods", "set": {"upscale_method": "item.name"}}
    workflow = make_workflow(tmp_path, document, everything_graph())
    assert rendered(workflow, upscale=2, methods=[{"name": "area"}] if not choices else [])
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, upscale=2, methods=[{"name": "random_lora_a.safetensors"}])
    assert "is not a choice of the input" in problems_of(caught)["repeat of ImageScaleBy (30), methods[0]"]
