"""Switches: what goes with them, in which order, and what is said where they take too much away."""

import itertools

import pytest
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import make_workflow

from engine.errors import InvalidMap, RenderFailed

PICTURE = "data:image/png;base64,iVBORw0KGgo="


def rendered(workflow, previews=False, **payload):
    return workflow.render(workflow.validate({"prompt": "a harbour", **payload}), previews=previews)


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def problems_of(caught):
    return {problem.where: problem.message for problem in caught.value.problems}


def with_previews():
    """The picture of the ControlNet and the result are shown as well."""
    graph, document = everything_graph(), everything_map()
    graph["60"] = node("PreviewImage", images=["20", 0])
    graph["61"] = node("PreviewImage", images=["8", 0])
    document["switches"]["control"]["remove"] = ["20"]
    return document, graph


@pytest.mark.parametrize(("previews", "shown"), [(False, set()), (True, {"61"})])
def test_a_preview_goes_with_the_node_that_it_shows(tmp_path, previews, shown):
    workflow = make_workflow(tmp_path, *with_previews())
    assert {"60", "61"} & rendered(workflow, previews).keys() == shown


def test_a_preview_stays_while_what_it_shows_is_there(tmp_path):
    workflow = make_workflow(tmp_path, *with_previews())
    graph = rendered(workflow, True, control_image=PICTURE)
    assert graph["60"]["inputs"]["images"] == ["20", 0]


def test_previews_of_copies_are_kept_like_the_node(tmp_path):
    document, graph = everything_map(), everything_graph()
    graph["60"] = node("SaveLatent", samples=["3", 0], filename_prefix="x")
    document["repeat"]["60"] = {"over": "loras", "set": {"filename_prefix": "item.name"}}
    workflow = make_workflow(tmp_path, document, graph)
    assert {"60", "60#2"} <= rendered(workflow, True, loras=loras(2)).keys()
    assert not {"60", "60#2"} & rendered(workflow, False, loras=loras(2)).keys()
    assert "60" not in rendered(workflow, True)


@pytest.mark.parametrize("order", list(itertools.permutations(["11", "12", "13"])))
def test_bypassed_nodes_that_feed_each_other_may_come_in_any_order(tmp_path, order):
    graph = {"1": node("EmptyImage", width=64, height=64, batch_size=1, color=0)}
    for node_id, before in (("11", "1"), ("12", "11"), ("13", "12")):
        graph[node_id] = node("ImageInvert", image=[before, 0])
    graph["9"] = node("SaveImage", images=["13", 0], filename_prefix="x")
    document = {"parameters": {"on": {"type": "boolean", "default": False}}}
    together = document | {"switches": {"s": {"when": "on", "bypass": list(order)}}}
    apart = document | {"switches": {f"s{each}": {"when": "on", "bypass": [each]} for each in order}}
    for index, each in enumerate((together, apart)):
        workflow = make_workflow(tmp_path / str(index), each, graph)
        made = workflow.render(workflow.validate({}))
        assert sorted(made) == ["1", "9"]
        assert made["9"]["inputs"]["images"] == ["1", 0]
        assert len(workflow.render(workflow.validate({"on": True}))) == 5


def test_two_inputs_do_not_stand_for_one_output(tmp_path):
    image = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    graph = {
        "1": image,
        "2": image,
        "3": node("ImageBlend", image1=["1", 0], image2=["2", 0], blend_factor=0.5, blend_mode="normal"),
        "9": node("SaveImage", images=["3", 0], filename_prefix="x"),
    }
    switch = {"when": "on", "bypass": ["3"], "through": {"3": {"image1": 0, "image2": 0}}}
    document = {"parameters": {"on": {"type": "boolean", "default": False}}, "switches": {"s": switch}}
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, graph)
    assert "image1, image2 can't all stand for output 0" in problems_of(caught)["switches.s.through.3"]


def test_an_input_of_a_chosen_option_is_required_like_any_other(tmp_path):
    resize = {"resize_type": "scale dimensions", "resize_type.width": ["2", 0], "resize_type.height": 64}
    graph = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node("PrimitiveInt", value=32),
        "3": node("ResizeImageMaskNode", input=["1", 0], **resize, **{"resize_type.crop": "center"}),
        "9": node("SaveImage", images=["3", 0], filename_prefix="x"),
    }
    graph["3"]["inputs"]["scale_method"] = "area"
    document = {
        "parameters": {"on": {"type": "boolean", "default": False}},
        "switches": {"s": {"when": "on", "remove": ["2"]}},
    }
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, graph)
    assert "(3).resize_type.width is left empty" in problems_of(caught)["switches.s off"]


@pytest.mark.parametrize(
    ("name", "parameter", "says"),
    [
        ("maybe", {"type": "boolean", "default": None}, "maybe may be null; write maybe is true"),
        ("words", {"type": "array", "items": {"type": "string"}, "default": []}, "type array; write words|length > 0"),
        ("picture", {"type": "image"}, "type image; write picture is not none"),
    ],
)
def test_a_condition_that_may_be_no_condition_is_refused_with_advice(tmp_path, name, parameter, says):
    document = everything_map()
    document["parameters"][name] = parameter
    document["switches"] = {"s": {"when": name, "bypass": ["30"]}}
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, everything_graph())
    assert says in problems_of(caught)["switches.s.when"]
    document["switches"]["s"]["when"] = says.rpartition("write ")[2]
    workflow = make_workflow(tmp_path / "advised", document, everything_graph())
    assert "30" not in rendered(workflow)


def test_a_failure_that_only_a_payload_brings_about_names_no_copy(tmp_path):
    document, graph = everything_map(), everything_graph()
    document["parameters"]["broken"] = {"type": "boolean", "default": False}
    document["computed"]["$['10'].inputs.model"] = {
        "expression": "['70', 0] if broken else ['4', 0]",
        "replaces_link": True,
    }
    document["switches"]["other"] = {"when": "not broken", "remove": ["70"]}
    graph["70"] = node("UNETLoader", unet_name="a.safetensors", weight_dtype="default")
    document["repeat"]["10"]["through"] = {"clip": 1}
    document["parameters"]["loras"] |= {"minItems": 1, "default": loras(1)}
    workflow = make_workflow(tmp_path, document, graph)
    assert rendered(workflow, loras=loras(3))["10#3"]["inputs"]["model"] == ["4", 0]
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, loras=loras(3), broken=True)
    assert problems_of(caught) == {
        "LoraLoader (10).model": "is left empty, which ComfyUI requires: UNETLoader (70) is switched off "
        "(off: control, other, upscale)"
    }


def test_an_empty_list_is_not_called_a_switch(tmp_path):
    document, graph = everything_map(), everything_graph()
    for node_id in ("50", "51"):
        graph[node_id] = node("CreateHookLora", lora_name="a.safetensors", strength_model=1.0, strength_clip=1.0)
    graph["52"] = node("SetHookKeyframes", hooks=["51", 0])
    graph["53"] = node("SetClipHooks", clip=["10", 1], apply_to_conds=True, schedule_clip=False, hooks=["52", 0])
    graph["6"]["inputs"]["clip"] = ["53", 0]
    document["parameters"]["other"] = {"type": "boolean", "default": False}
    document["computed"]["$['52'].inputs.hooks"] = {
        "expression": "['50', 0] if other else ['51', 0]",
        "replaces_link": True,
    }
    document["repeat"]["50"] = {"over": "loras", "set": {"lora_name": "item.name"}}
    workflow = make_workflow(tmp_path, document, graph)
    assert rendered(workflow, other=True, loras=loras(2))["52"]["inputs"]["hooks"] == ["50#2", 0]
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, other=True)
    [message] = problems_of(caught).values()
    assert message.endswith("the list that CreateHookLora (50) is repeated for is empty")


@pytest.mark.parametrize(
    ("change", "where", "wanted"),
    [
        ({"switches": {"s": {"when": "{{ upscale > 1 }}", "bypass": ["30"]}}}, "switches.s.when", "true or false"),
        ({"rules": [{"that": "{{ upscale > 1 }}", "message": "x"}]}, "rules[0].that", "true or false"),
        ({"computed": {"$['3'].inputs.denoise": "{{ strength }}"}}, "computed.$['3'].inputs.denoise", "a number"),
        ({"repeat": {"10": {"over": "{{ loras }}", "set": {"lora_name": "item"}}}}, "repeat.10.over", "a list"),
        (
            {"repeat": {"10": {"over": "loras", "set": {"strength_model": "{{ item.strength }}"}}}},
            "repeat.10.set.strength_model",
            "a number",
        ),
    ],
)
def test_a_text_is_refused_where_something_else_is_wanted(tmp_path, change, where, wanted):
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, everything_map() | change, everything_graph())
    assert problems_of(caught)[where] == (
        f"it must give {wanted}, and with {{{{ }}}} it gives a text; write the bare expression"
    )
