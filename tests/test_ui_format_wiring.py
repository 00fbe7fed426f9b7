"""What the editor makes of links and of values that stand elsewhere, when it queues a graph."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.official import converted
from support.ui_documents import INSTANCE, document, node, subgraph

from engine.nodes import load_catalogue
from engine.ui_format import Converter
from engine.ui_format.reading import inputs_of, links_of, nodes_of
from engine.ui_format.wiring import rewire

CONVERT = Converter(load_catalogue())

SEED, OWN = ["3", "color"], [["-1", "width"], ["-1", "tall"]]
"""Widgets that an instance shows: an inner node's, and two of its own."""


def inputs(ui):
    return {node_id: each["inputs"] for node_id, each in CONVERT(ui).graph.items()}


def invert(node_id, link, out=(), **more):
    return node(node_id, "ImageInvert", inputs=[("image", "IMAGE", link)], outputs=[("IMAGE", out)], **more)


def saved(node_id, link):
    return node(node_id, "SaveImage", ("out",), inputs=[("images", "IMAGE", link)])


def empty(node_id, *out, width=16):
    return node(node_id, "EmptyImage", (width, 8, 1, 0), outputs=[("IMAGE", out)])


def reroute(node_id, link, *out, kind="Reroute"):
    return node(node_id, kind, inputs=[("", "*", link)], outputs=[("*", out)])


def test_nodes_that_hand_on_may_take_turns():
    ui = document(
        [
            empty(1, 1),
            node(2, "SetNode", ("a",), inputs=[("IMAGE", "IMAGE", 1)], outputs=[("*", [8])]),
            node(3, "GetNode", ("a",), outputs=[("IMAGE", [2])]),
            invert(4, 2, [3], mode=4),
            reroute(5, 3, 4),
            node(6, "SetNode", ("b",), inputs=[("IMAGE", "IMAGE", 4)]),
            node(7, "GetNode", ("b",), outputs=[("IMAGE", [5])]),
            reroute(8, 5, 6),
            invert(9, 6, [7], mode=4),
            saved(10, 7),
            saved(11, 8),  # of the SetNode's own output
        ],
        [
            [1, 1, 0, 2, 0, "IMAGE"],
            [2, 3, 0, 4, 0, "IMAGE"],
            [3, 4, 0, 5, 0, "*"],
            [4, 5, 0, 6, 0, "IMAGE"],
            [5, 7, 0, 8, 0, "*"],
            [6, 8, 0, 9, 0, "IMAGE"],
            [7, 9, 0, 10, 0, "IMAGE"],
            [8, 2, 0, 11, 0, "IMAGE"],
        ],
    )
    found = inputs(ui)
    assert set(found) == {"1", "10", "11"}
    assert found["10"]["images"] == found["11"]["images"] == ["1", 0]


def test_what_only_a_node_packs_scripts_know_is_gone():
    ui = document(
        [
            empty(1, 1),
            reroute(2, 1, 2, kind="Reroute (rgthree)"),
            saved(3, 2),
            node(4, "Fast Groups Bypasser (rgthree)", outputs=[("OPT_CONNECTION", [])]),
            node(5, "Label (rgthree)"),
        ],
        [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 3, 0, "IMAGE"]],
    )
    converted_ = CONVERT(ui)
    assert set(converted_.graph) == {"1", "3"}
    assert converted_.graph["3"]["inputs"]["images"] == ["1", 0]
    assert converted_.notes == ()


def bypassed_with(slots, wanted, *, kind="A", outputs=1):
    """A bypassed node, whose inputs are `(type, whether linked)`; gives the number of the one that it hands on."""
    sources = [node(10 + at, "Source", outputs=[(slot, [at])]) for at, (slot, _) in enumerate(slots)]
    through = node(
        1,
        "Through",
        inputs=[(str(at), slot, at if linked else None) for at, (slot, linked) in enumerate(slots)],
        outputs=[(kind, [99])] * outputs,
        mode=4,
    )
    links = [[at, 10 + at, 0, 1, at, slot] for at, (slot, linked) in enumerate(slots) if linked]
    ui = document(
        [*sources, through, node(2, "Sink", inputs=[("it", wanted, 99)])], [*links, [99, 1, outputs - 1, 2, 0, kind]]
    )
    link = inputs(ui)["2"].get("it")
    return None if link is None else int(link[0]) - 10


@pytest.mark.parametrize(
    ("slots", "wanted", "options", "number"),
    [
        ([("A", True), ("A", True)], "A", {}, 0),
        ([("A", True), ("A", True)], "A", {"outputs": 2}, 1),
        ([("B", True), ("A", True)], "A", {}, 1),
        ([("B", True), ("C", True)], "A", {}, None),
        ([("A", False), ("A", True)], "A", {}, None),
        ([("B", True), ("A", False)], "A", {}, None),
        ([("B", True), ("A,B", True)], "A", {}, 1),
        ([("B", True), ("*", True)], "A", {}, 1),
        ([("B", True), ("A", True)], "*", {}, 0),
        ([], "A", {}, None),
    ],
)
def test_a_bypassed_node_hands_on_the_input_that_the_editor_takes(slots, wanted, options, number):
    """None of a type that fits is none: not the first that is linked, as if it did."""
    assert bypassed_with(slots, wanted, **options) == number


def test_an_official_graph_with_bypassed_nodes_of_optional_inputs_is_what_the_editor_queues():
    """Its bypassed CLIPVisionEncode have no CLIP_VISION_OUTPUT to hand on; what took theirs can do without."""
    [(_, export)] = converted(["3d_hunyuan3d_multiview_to_model"])
    [views] = [each for each in export.graph.values() if each["class_type"] == "Hunyuan3Dv2ConditioningMultiView"]
    assert set(views["inputs"]) == {"front", "back"}


def test_each_instance_of_a_subgraph_has_variables_of_its_own():
    inner = subgraph(
        [
            node(1, "SetNode", ("it",), inputs=[("IMAGE", "IMAGE", 1)]),
            node(2, "GetNode", ("it",), outputs=[("IMAGE", [2])]),
            invert(3, 2, [3]),
        ],
        [[1, -10, 0, 1, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 3, 0, -20, 0, "IMAGE"]],
        inputs=[("image", "IMAGE", [1])],
        outputs=[("image", "IMAGE", [3])],
    )
    instances = [node(each, INSTANCE, inputs=[("image", "IMAGE", each)], outputs=[("IMAGE", [])]) for each in (10, 20)]
    ui = document(
        [empty(1, 10), empty(2, 20), *instances], [[10, 1, 0, 10, 0, "IMAGE"], [20, 2, 0, 20, 0, "IMAGE"]], [inner]
    )
    found = inputs(ui)
    assert (found["10:3"]["image"], found["20:3"]["image"]) == (["1", 0], ["2", 0])


def test_outputs_of_a_subgraph_may_come_from_one_place_or_from_outside():
    inner = subgraph(
        [invert(3, 1, [2, 3]), invert(4, 4, [5], mode=4), reroute(5, 6, 7)],
        [
            [1, -10, 0, 3, 0, "IMAGE"],
            [2, 3, 0, -20, 0, "IMAGE"],
            [3, 3, 0, -20, 1, "IMAGE"],
            [4, -10, 0, 4, 0, "IMAGE"],
            [5, 4, 0, -20, 2, "IMAGE"],
            [6, 3, 0, 5, 0, "IMAGE"],
            [7, 5, 0, -20, 3, "IMAGE"],
        ],
        inputs=[("image", "IMAGE", [1, 4])],
        outputs=[(name, "IMAGE", [link]) for name, link in (("a", 2), ("b", 3), ("c", 5), ("d", 7))],
    )
    instance = node(9, INSTANCE, inputs=[("image", "IMAGE", 1)], outputs=[("IMAGE", [10 + at]) for at in range(4)])
    ui = document(
        [empty(1, 1), instance, *[saved(20 + at, 10 + at) for at in range(4)]],
        [[1, 1, 0, 9, 0, "IMAGE"], *[[10 + at, 9, at, 20 + at, 0, "IMAGE"] for at in range(4)]],
        [inner],
    )
    found = inputs(ui)
    assert [found[str(20 + at)]["images"] for at in range(4)] == [["9:3", 0], ["9:3", 0], ["1", 0], ["9:3", 0]]


def test_links_that_come_from_nowhere_are_gone():
    ui = document(
        [
            reroute(1, 2, 1),
            reroute(2, 1, 2, 3),
            saved(3, 3),
            reroute(4, None, 4),
            saved(5, 4),
            saved(6, 77),
            node(7, "GetNode", ("nobody",), outputs=[("IMAGE", [5])]),
            saved(8, 5),
        ],
        [[1, 1, 0, 2, 0, "*"], [2, 2, 0, 1, 0, "*"], [3, 2, 0, 3, 0, "*"], [4, 4, 0, 5, 0, "*"], [5, 7, 0, 8, 0, "*"]],
    )
    assert all(each == {"filename_prefix": "out"} for each in inputs(ui).values())


def test_a_link_that_an_input_of_a_subgraph_no_longer_lists_is_none():
    """Its number is another input's by now."""
    inner = subgraph(
        [node(3, "EmptyImage", (5, 6, 1, 0), inputs=[("width", "INT", 1, {}), ("height", "INT", 2, {})])],
        [[1, -10, 0, 3, 0, "INT"], [2, -10, 0, 3, 1, "INT"]],
        inputs=[("width", "INT", [1])],
    )
    instance = node(2, INSTANCE, (30,), inputs=[("width", "INT", None, {})], properties={"proxyWidgets": OWN[:1]})
    found = inputs(document([instance], subgraphs=[inner]))["2:3"]
    assert (found["width"], found["height"]) == (30, 6)


def test_what_an_instance_holds_goes_to_an_input_that_nothing_else_tells_of():
    inner = subgraph(
        [node(3, "Unheard", (), inputs=[("prompt", "STRING", 1, {})])],
        [[1, -10, 0, 3, 0, "STRING"]],
        inputs=[("prompt", "STRING", [1])],
    )
    slots = [("prompt", "STRING", None, {})]
    instance = node(2, INSTANCE, ("a cat",), inputs=slots, properties={"proxyWidgets": [["-1", "prompt"]]})
    assert inputs(document([instance], subgraphs=[inner]))["2:3"] == {"prompt": "a cat"}


SLOT = st.integers(-1, 4)
NODE = st.builds(
    lambda kind, mode, slots, values: {
        "type": kind,
        "mode": mode,
        "inputs": [{"name": str(at), "type": kind, "link": link} for at, (kind, link) in enumerate(slots)],
        "outputs": [{"name": "o", "type": "A"}, {"name": "p", "type": "B"}],
        "widgets_values": values,
    },
    st.sampled_from(["Real", "Reroute", "SetNode", "GetNode", INSTANCE]),
    st.sampled_from([0, 0, 2, 4]),
    st.lists(st.tuples(st.sampled_from(["A", "B", "*", "A,B", ""]), st.integers(0, 12)), max_size=3),
    st.sampled_from([[], ["v"], ["w"], [3]]),
)
LINK = st.tuples(st.sampled_from([-10, *range(6)]), st.integers(-1, 3), st.sampled_from([-20, *range(6)]), SLOT)


@settings(max_examples=300)
@given(st.lists(NODE, max_size=6), st.lists(LINK, max_size=12), st.lists(st.integers(0, 12), max_size=3))
def test_after_it_every_link_is_of_one_slot_and_comes_from_a_node_that_runs(nodes, links, leading_out):
    keys = ("origin_id", "origin_slot", "target_id", "target_slot")
    scope = {
        "nodes": [{**each, "id": number} for number, each in enumerate(nodes)],
        "links": [{"id": number, **dict(zip(keys, link, strict=True))} for number, link in enumerate(links)],
        "inputs": [{"name": "i", "type": "A", "linkIds": [*range(12), *range(12)]}],
        "outputs": [{"name": "o", "type": "A", "linkIds": [link]} for link in leading_out],
    }
    rewire(scope)
    by_id = {each["id"]: each for each in nodes_of(scope)}
    new = {link["id"]: link for link in links_of(scope)}
    used = [slot["link"] for each in nodes_of(scope) for slot in inputs_of(each) if slot["link"] is not None]
    used += [key for output in scope["outputs"] for key in output["linkIds"]]
    assert sorted(map(str, used)) == sorted(map(str, new))
    for link in new.values():
        origin = by_id.get(link["origin_id"])
        added = str(link["origin_id"]).startswith("reroute-")
        assert origin is None or added or (origin["mode"] != 4 and origin["type"] in ("Real", "GetNode", INSTANCE))
        if link["target_id"] == -20:
            assert link["origin_id"] != -10
    ways_out = [(link["origin_id"], link["origin_slot"]) for link in new.values() if link["target_id"] == -20]
    assert len(ways_out) == len(set(ways_out))
    leading_in = [key for described in scope["inputs"] for key in described["linkIds"]]
    assert len(leading_in) == len(set(leading_in))
    assert all(new[key]["origin_id"] == -10 for key in leading_in)


def hosting(values, proxies=None, link=None):
    inner = subgraph(
        [node(3, "EmptyImage", (5, 6, 1, 0), inputs=[("width", "INT", 1, {}), ("height", "INT", 2, {})])],
        [[1, -10, 0, 3, 0, "INT"], [2, -10, 1, 3, 1, "INT"]],
        inputs=[("width", "INT", [1]), ("tall", "INT", [2])],
    )
    more = {} if proxies is None else {"properties": {"proxyWidgets": proxies}}
    slots = [("width", "INT", link, {}), ("tall", "INT", None, {})]
    source = node(1, "PrimitiveInt", (77,), outputs=[("INT", [1])])
    ui = document([source, node(2, INSTANCE, values, inputs=slots, **more)], [[1, 1, 0, 2, 0, "INT"]], [inner])
    found = inputs(ui)["2:3"]
    return found["width"], found["height"]


@pytest.mark.parametrize(
    ("values", "proxies", "found"),
    [
        ((30, 40), None, (30, 40)),
        ((), OWN, (5, 6)),
        ((30, 40), OWN, (30, 40)),
        ((None, 30, None, 40), [SEED, OWN[0], SEED, OWN[1]], (30, 40)),
        ((40, None, 30), [OWN[1], SEED, OWN[0], SEED], (30, 40)),
        ((40, None, 30, None), [OWN[1], SEED, OWN[0], SEED], (30, 40)),
        ((None, 40), [OWN[0], OWN[1]], (5, 40)),
        ((30, 40), [SEED, SEED], (30, 40)),
        ((30, 40), [["3"], 7, None], (30, 40)),
        (([1, 2], 40), OWN, ({"__value__": [1, 2]}, 40)),
    ],
)
def test_what_an_instance_holds_is_read_in_the_order_that_its_export_has(values, proxies, found):
    assert hosting(values, proxies) == found


@pytest.mark.parametrize("proxies", [None, OWN])
def test_a_link_is_before_what_an_instance_holds(proxies):
    assert hosting((30, 40), proxies, link=1) == (["1", 0], 40)


def test_official_graphs_have_each_model_at_its_loader():
    """Saved by front ends that write the values in the order of `proxyWidgets`, with nothing for seeds."""
    [(_, export)] = converted(["canny_to_image_z_image_turbo"])
    models = {
        each["class_type"]: value
        for each in export.graph.values()
        for name, value in each["inputs"].items()
        if each["class_type"].endswith("Loader") and name.endswith("name")
    }
    assert models["VAELoader"] == "ae.safetensors"
    assert models["UNETLoader"] == "z_image_turbo_bf16.safetensors"
    assert models["CLIPLoader"] == "qwen_3_4b.safetensors"


def test_a_loader_of_an_unknown_class_keeps_its_loras():
    loras = [{"on": True, "lora": f"{name}.safetensors", "strength": 1, "strengthTwo": None} for name in "ab"]
    values = ({}, {"type": "PowerLoraLoaderHeaderWidget"}, *loras, {}, "")
    ui = document([node(1, "Power Lora Loader (rgthree)", values, inputs=[("model", "MODEL", None)])])
    found = inputs(ui)["1"]
    assert [found[name]["lora"] for name in ("lora_1", "lora_2")] == ["a.safetensors", "b.safetensors"]
