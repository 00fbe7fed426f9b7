"""Switches and repeats: what of them a payload makes of the graph, and what is refused at load."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import ROOT, make_workflow

from engine.comfyui.complaints import execution_failure
from engine.comfyui.events import Event
from engine.comfyui.progress import ProgressMeter
from engine.errors import InvalidMap, InvalidPayload, RenderFailed
from engine.graph import as_link, find_cycle
from engine.nodes import NodeCatalogue

PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    return make_workflow(tmp_path_factory.mktemp("everything"), everything_map(), everything_graph())


def rendered(workflow, **payload):
    return workflow.render(workflow.validate({"prompt": "a harbour", **payload}))


def loops_and_ends(graph):
    """A circle of links, and the links that lead nowhere."""
    found = [as_link(value) for node in graph.values() for value in node["inputs"].values()]
    return find_cycle(graph), [link for link in found if link and link[0] not in graph]


def test_with_all_off_what_is_left_is_the_plain_graph(workflow):
    graph = rendered(workflow)
    assert sorted(graph) == ["3", "4", "5", "6", "7", "8", "9"]
    assert graph["3"]["inputs"]["model"] == ["4", 0]
    assert graph["6"]["inputs"]["clip"] == ["4", 1]
    assert graph["3"]["inputs"]["positive"] == ["6", 0]
    assert graph["3"]["inputs"]["negative"] == ["7", 0]
    assert graph["3"]["inputs"]["latent_image"] == ["5", 0]
    assert graph["9"]["inputs"]["images"] == ["8", 0]


def test_one_item_is_the_node_itself(workflow):
    graph = rendered(workflow, loras=loras(1))
    assert graph["10"]["inputs"]["lora_name"] == loras(1)[0]["name"]
    assert graph["10"]["inputs"]["strength_model"] == 0.5
    assert graph["3"]["inputs"]["model"] == ["10", 0]
    assert not [node_id for node_id in graph if "#" in node_id]


def test_three_items_stand_in_a_row(workflow):
    graph = rendered(workflow, loras=loras(3))
    row = [node_id for node_id, node in graph.items() if node["class_type"] == "LoraLoader"]
    assert len(row) == 3
    assert [graph[node_id]["inputs"]["strength_model"] for node_id in row] == [0.5, 0.6, 0.7]
    assert graph[row[0]]["inputs"]["model"] == ["4", 0]
    assert graph[row[1]]["inputs"]["model"] == [row[0], 0]
    assert graph[row[2]]["inputs"]["clip"] == [row[1], 1]
    assert graph["3"]["inputs"]["model"] == [row[2], 0]
    assert graph["6"]["inputs"]["clip"] == graph["7"]["inputs"]["clip"] == [row[2], 1]
    assert [workflow.original_of(node_id) for node_id in row] == ["10", "10", "10"]


def test_a_switch_that_is_on_leaves_its_nodes(workflow):
    graph = rendered(workflow, control_image=PICTURE, upscale=2)
    assert graph["3"]["inputs"]["negative"] == ["22", 1]
    assert graph["9"]["inputs"]["images"] == ["30", 0]
    assert graph["30"]["inputs"]["scale_by"] == 2
    assert {"20", "21", "22", "30"} <= graph.keys()


def test_alternatives_are_wired_by_a_computed_link(workflow):
    graph = rendered(workflow, image=PICTURE)
    assert graph["3"]["inputs"]["latent_image"] == ["41", 0]
    assert "5" not in graph
    assert "40" in graph


@settings(max_examples=60)
@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 5))
def test_whatever_is_on_or_off_the_graph_holds_together(workflow, control, upscale, image, count):
    payload = {"loras": loras(count), "upscale": 2 if upscale else 1}
    payload |= {"control_image": PICTURE} if control else {}
    payload |= {"image": PICTURE} if image else {}
    before = copy.deepcopy(workflow.template)
    graph = rendered(workflow, **payload)
    assert loops_and_ends(graph) == (None, [])
    assert sum(node["class_type"] == "LoraLoader" for node in graph.values()) == count
    assert ("22" in graph, "30" in graph, "40" in graph) == (control, upscale, image)
    assert workflow.template == before


def containers(value):
    """The ids of all lists and objects in a value."""
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return {id(value)}.union(*map(containers, below))
    return set()


@settings(max_examples=30)
@given(st.booleans(), st.booleans(), st.integers(0, 4))
def test_no_two_graphs_share_what_one_could_change(workflow, control, previews, count):
    values = workflow.validate({"prompt": "x", "loras": loras(count)} | ({"control_image": PICTURE} if control else {}))
    first, second = (workflow.render(values, previews=previews) for _ in range(2))
    assert first == second
    seen = [containers(each) for each in (first, second, dict(workflow.template), values)]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_threads_do_not_meet_in_a_workflow(workflow):
    payloads = [{"loras": loras(count), "upscale": scale, "seed": 7} for count in range(5) for scale in (1, 2)]
    alone = [rendered(workflow, **payload) for payload in payloads]
    with ThreadPoolExecutor(max_workers=8) as threads:
        together = list(threads.map(lambda payload: rendered(workflow, **payload), payloads * 20))
    assert together == alone * 20


def test_an_input_of_a_copy_is_traced_to_its_item(workflow):
    graph = rendered(workflow, loras=loras(2))
    second = next(node_id for node_id in graph if node_id not in workflow.template)
    assert workflow.parameters_at(second, "lora_name") == ("loras[1].name",)
    assert workflow.parameters_at("10", "strength_clip") == ("loras[0].strength",)
    assert not workflow.is_computed(second, "lora_name")


def test_items_are_held_to_what_the_node_takes(tmp_path):
    document = everything_map()
    items = document["parameters"]["loras"]["items"]["properties"]
    items["name"] = {"type": "string", "required": True}
    items["strength"] = {"type": "number", "default": 1}
    workflow = make_workflow(tmp_path, document, everything_graph())
    schema = workflow.payload_schema()["properties"]["loras"]["items"]["properties"]["strength"]
    assert (schema["minimum"], schema["maximum"]) == (-100, 100)
    live = NodeCatalogue(workflow_nodes_with("LoraLoader", "lora_name", ["a.safetensors"]), live=True)
    with pytest.raises(InvalidPayload) as caught:
        workflow.validate({"prompt": "x", "loras": [{"name": "a.safetensors"}, {"name": "b", "strength": 101}]}, live)
    assert {problem.where for problem in caught.value.problems} == {"loras[1].name", "loras[1].strength"}


def test_copies_never_take_an_id_that_is_there(tmp_path):
    graph = everything_graph()
    graph["10#2"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    document = everything_map()
    document["outputs"]["other"] = {"node": "10#2"}
    workflow = make_workflow(tmp_path, document, graph)
    made = rendered(workflow, loras=loras(3))
    assert made["10#2"]["class_type"] == "PreviewImage"
    assert sum(node["class_type"] == "LoraLoader" for node in made.values()) == 3
    assert workflow.original_of("10#2") == "10#2"


def test_a_switch_turns_off_all_copies(tmp_path):
    document = everything_map()
    document["parameters"]["plain"] = {"type": "boolean", "default": False}
    document["switches"]["styled"] = {"when": "not plain", "bypass": ["10"]}
    workflow = make_workflow(tmp_path, document, everything_graph())
    graph = rendered(workflow, plain=True, loras=loras(3))
    assert not [node for node in graph.values() if node["class_type"] == "LoraLoader"]
    assert graph["3"]["inputs"]["model"] == ["4", 0]


def test_removed_nodes_take_their_optional_links_along(tmp_path):
    graph = everything_graph()
    graph["22"]["inputs"]["vae"] = ["42", 0]
    graph["42"] = {"class_type": "VAELoader", "inputs": {"vae_name": "taesd"}}
    document = everything_map()
    document["parameters"]["with_vae"] = {"type": "boolean", "default": True}
    document["switches"]["vae"] = {"when": "with_vae", "remove": ["42"]}
    workflow = make_workflow(tmp_path, document, graph)
    assert rendered(workflow, control_image=PICTURE)["22"]["inputs"]["vae"] == ["42", 0]
    without = rendered(workflow, control_image=PICTURE, with_vae=False)
    assert "42" not in without
    assert "vae" not in without["22"]["inputs"]


def test_through_says_which_of_several_inputs_goes_on(tmp_path):
    graph = {
        "1": _image(1),
        "2": _image(2),
        "3": {
            "class_type": "ImageBlend",
            "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "blend"}},
    }
    document = {
        "parameters": {"blend": {"type": "boolean", "default": False}},
        "switches": {"blend": {"when": "blend", "bypass": ["3"], "through": {"3": {"image2": 0}}}},
    }
    graph_off = make_workflow(tmp_path, document, graph)
    off = graph_off.render(graph_off.validate({}))
    assert off["9"]["inputs"]["images"] == ["2", 0]
    assert "1" not in off


def test_a_bypassed_value_goes_on_as_it_is(tmp_path):
    graph = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "as it is"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    document = {
        "parameters": {"node": {"type": "boolean", "default": False}},
        "switches": {"node": {"when": "node", "bypass": ["1"]}},
    }
    workflow = make_workflow(tmp_path, document, graph)
    assert workflow.render(workflow.validate({}))["2"]["inputs"]["source"] == "as it is"


def test_output_nodes_can_go_where_no_output_has_a_name(tmp_path):
    graph = everything_graph()
    graph["50"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    document = everything_map()
    del document["outputs"]
    document["parameters"]["preview"] = {"type": "boolean", "default": True}
    document["switches"]["preview"] = {"when": "preview", "remove": ["50"]}
    workflow = make_workflow(tmp_path, document, graph)
    assert "50" in rendered(workflow)
    assert "50" not in rendered(workflow, preview=False)


def test_repeats_of_a_node_that_saves_are_all_kept(tmp_path):
    graph = {"1": _image(1), "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3, "default": ["a", "b"]}
    document = {
        "parameters": {"names": names},
        "repeat": {"9": {"over": "names", "set": {"filename_prefix": "item"}}},
        "outputs": {"image": {"node": "9"}},
    }
    workflow = make_workflow(tmp_path, document, graph)
    made = workflow.render(workflow.validate({"names": ["a", "b", "c"]}))
    assert sorted(node["inputs"].get("filename_prefix", "") for node in made.values()) == ["", "a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"switches": {"a": {"when": "image is not none", "bypass": ["3"]}}}, "switches.a off", None),
        (
            {"switches": {"a": {"when": "image is not none", "bypass": ["8"]}}},
            "switches.a off",
            "ImageScaleBy (30).image is left empty, which ComfyUI requires: it was linked to VAEDecode (8)",
        ),
        (
            {"switches": {"a": {"when": "image is not none", "remove": ["9"]}}},
            "switches.a off",
            "the output image goes with its node SaveImage (9)",
        ),
        ({"switches": {"a": {"when": "image is not none", "bypass": ["99"]}}}, "switches.a.bypass", "no node 99"),
        ({"switches": {"a": {"when": "image is not none"}}}, "switches.a", "it switches nothing"),
        ({"switches": {"a": {"when": "image", "bypass": ["30"]}}}, "switches.a.when", "image is of type image"),
        ({"switches": {"a": {"when": "imagge is none", "bypass": ["30"]}}}, "switches.a.when", 'did you mean "image"'),
        (
            {"switches": {"a": {"when": "upscale > 1", "bypass": ["30"], "through": {"30": {"imag": 0}}}}},
            "switches.a.through.30",
            'takes no input imag (did you mean "image"?)',
        ),
        (
            {"switches": {"a": {"when": "upscale > 1", "bypass": ["30"], "through": {"30": {"image": 3}}}}},
            "switches.a.through.30",
            "has no output 3; it has 1: IMAGE",
        ),
        (
            {"switches": {"a": {"when": "upscale > 1", "bypass": ["30"], "through": {"8": {"vae": 0}}}}},
            "switches.a.through.8",
            "only for nodes of `bypass`: 30",
        ),
        ({"repeat": {"10": {"over": "prompt", "set": {"lora_name": "item"}}}}, "repeat.10.over", "it takes a list"),
        ({"repeat": {"99": {"over": "loras", "set": {"a": "item"}}}}, "repeat.99", "no node 99 in the template"),
        ({"repeat": {"10": {"over": "loras"}}}, "repeat.10", "all copies would be alike"),
        (
            {"repeat": {"10": {"over": "loras", "set": {"lora_nam": "item.name"}}}},
            "repeat.10.set.lora_nam",
            'has no input lora_nam (did you mean "lora_name"?)',
        ),
        (
            {"repeat": {"10": {"over": "loras", "set": {"clip": "item.name"}}}},
            "repeat.10.set.clip",
            "the input holds a link",
        ),
        (
            {"repeat": {"10": {"over": "loras", "through": {"model": 1}, "set": {"lora_name": "item.name"}}}},
            "repeat.10.through",
            "output 1 of LoraLoader (10) is CLIP, model takes MODEL",
        ),
        (
            {"repeat": {"40": {"over": "loras", "set": {"image": "item.name"}}}},
            "repeat.40",
            "copies of LoadImage (40) can't be put in a row",
        ),
        (
            {"repeat": {"20": {"over": "loras", "set": {"image": "item.name"}}}},
            "repeat.20",
            "copies of LoadImage (20) can't be put in a row",
        ),
        (
            {"repeat": {"30": {"over": "loras", "set": {"scale_by": "item.strength"}}}},
            "parameters.upscale",
            "is written by repeat.30 too; one place, one writer",
        ),
        (
            {"repeat": {"10": {"over": "loras", "set": {"strength_model": "item.name"}}}},
            "repeat.10.set.strength_model",
            "the input takes FLOAT, the parameter is of type string",
        ),
        (
            {"repeat": {"10": {"over": "loras", "set": {"lora_name": "item.nam"}}}},
            "repeat.10.set.lora_name",
            "the items of loras have no nam",
        ),
    ],
)
def test_what_can_be_told_at_load_is_refused(tmp_path, change, where, says):
    document = {**everything_map(), **change}
    if says is None:  # a sampler hands on its latent: all is well
        make_workflow(tmp_path, document, everything_graph())
        return
    with pytest.raises(InvalidMap) as caught:
        make_workflow(tmp_path, document, everything_graph())
    found = [problem.message for problem in caught.value.problems if problem.where == where]
    assert any(says in message for message in found), [str(problem) for problem in caught.value.problems]


def test_unequal_counts_ask_for_through(tmp_path):
    graph = {
        "1": _image(1),
        "3": {
            "class_type": "ImageBlend",
            "inputs": {"image1": ["1", 0], "image2": ["1", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "blend"}},
    }
    document = {
        "parameters": {"blend": {"type": "boolean", "default": False}},
        "switches": {"blend": {"when": "blend", "bypass": ["3"]}},
    }
    with pytest.raises(InvalidMap, match="2 inputs of type IMAGE"):
        make_workflow(tmp_path, document, graph)


def test_an_unknown_class_asks_for_through(tmp_path):
    graph = everything_graph()
    graph["30"]["class_type"] = "TheirUpscaler"
    document = everything_map()
    with pytest.raises(InvalidMap, match="does not know TheirUpscaler; say what stands for its outputs 0"):
        make_workflow(tmp_path, document, graph)
    document["switches"]["upscale"]["through"] = {"30": {"image": 0}}
    workflow = make_workflow(tmp_path / "again", document, graph)
    assert rendered(workflow)["9"]["inputs"]["images"] == ["8", 0]


def test_what_only_a_payload_brings_about_is_named_to_the_author(tmp_path):
    document = everything_map()
    document["parameters"]["other"] = {"type": "boolean", "default": True}
    document["computed"]["$['9'].inputs.images"] = {
        "expression": "['30', 0] if other else ['50', 0]",
        "replaces_link": True,
    }
    document["switches"]["extra"] = {"when": "other", "remove": ["50"]}
    graph = everything_graph()
    graph["50"] = _image(3)
    workflow = make_workflow(tmp_path, document, graph)
    assert rendered(workflow)["9"]["inputs"]["images"] == ["8", 0]
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, other=False)
    assert str(caught.value.problems[0]) == (
        "SaveImage (9).images: is left empty, which ComfyUI requires: EmptyImage (50) is switched off "
        "(off: control, extra, upscale)"
    )
    assert f"render_failed: {caught.value.problems[0]}\n" in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"switches": {"a": {"when": "steps", "bypass": ["30"]}}}, None),
        ({"switches": {"a": {"when": "steps + 0", "bypass": ["30"]}}}, "`when` must give true or false"),
        (
            {"repeat": {"10": {"over": "loras if steps < 0 else prompt", "set": {"lora_name": "item"}}}},
            "`over` must give a list, it gives a string",
        ),
        (
            {"repeat": {"10": {"over": "loras", "set": {"strength_model": "item.name ~ ''"}}}},
            "strength_model: the input takes FLOAT",
        ),
    ],
)
def test_operators_that_give_the_wrong_thing(tmp_path, change, says):
    document = {**everything_map(), **change}
    if says is None:
        with pytest.raises(InvalidMap, match="it takes true or false; steps is of type integer"):
            make_workflow(tmp_path, document, everything_graph())
        return
    workflow = make_workflow(tmp_path, document, everything_graph())
    with pytest.raises(RenderFailed) as caught:
        rendered(workflow, loras=loras(1))
    assert says in str(caught.value.problems[0])


def test_a_list_without_end_is_warned_of_and_bounded(tmp_path):
    document = everything_map()
    del document["parameters"]["loras"]["maxItems"]
    document["repeat"]["10"]["over"] = "loras[:1000]"
    workflow = make_workflow(tmp_path, document, everything_graph())
    with pytest.raises(RenderFailed, match="gives 101 items, at most 100 can be made"):
        rendered(workflow, loras=[{"name": "x"}] * 101)
    document["repeat"]["10"]["over"] = "loras"
    workflow = make_workflow(tmp_path / "plain", document, everything_graph())
    assert [warning for warning in workflow.warnings if "give loras a maxItems" in warning]


def test_a_template_that_was_taken_from_a_result_has_copies_of_its_own(workflow, tmp_path):
    embedded = rendered(workflow, loras=loras(2))
    document = {"parameters": {}, "outputs": {"image": {"node": "9"}}}
    again = make_workflow(tmp_path, document, embedded)
    second = next(node_id for node_id in embedded if "#" in node_id)
    assert again.original_of(second) == second
    assert "copy_of" not in again.render(again.validate({}))[second]["_meta"]


def workflow_nodes_with(class_type, input_name, choices):
    """`/object_info` of one class with one list."""
    return {class_type: {"input": {"required": {input_name: [choices]}}, "output": [], "output_node": False}}


def _image(color):
    return {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}}


def test_a_failure_in_a_copy_names_the_node_of_the_template(workflow):
    graph = rendered(workflow, loras=loras(2))
    copied = next(node_id for node_id in graph if "#" in node_id)
    error = {"node_id": copied, "node_type": "LoraLoader", "exception_message": "no such key", "exception_type": "E"}
    assert execution_failure(error, graph).message == "LoraLoader (10) failed: no such key"
    meter = ProgressMeter(graph, None)
    meter.hear(Event("progress", {"node": copied, "value": 1, "max": 4}))
    assert meter.where() == "LoraLoader (10), step 1 of 4"
