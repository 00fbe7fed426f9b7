"""Whole graphs in a request: what is taken for one, what is refused and why, and where sent files go in it."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.media import picture
from support.workflows import SHARED

from engine.errors import InvalidRequest
from engine.nodes import NodeCatalogue, load_catalogue
from engine.raw_graph import brings_graph, graph_document, media_places, parse_raw, with_files
from engine.raw_graph.parsing import MOST_NODES
from engine.wording import shown

CORPUS = sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))
NODES = load_catalogue()
GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "in.png"}, "_meta": {"title": "Load"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "out"}},
}


def refusal(document):
    with pytest.raises(InvalidRequest) as caught:
        parse_raw(document)
    return caught.value


def loader(class_type, **inputs):
    return {"1": {"class_type": class_type, "inputs": inputs}}


@pytest.mark.parametrize(
    "document",
    [
        GRAPH,
        json.dumps(GRAPH),
        "\ufeff" + json.dumps(GRAPH, indent=2),
        {"prompt": GRAPH},
        {"prompt": GRAPH, "client_id": "me", "extra_data": {"extra_pnginfo": {}}},
        {"workflow": GRAPH},
        {"workflow": {"prompt": GRAPH}},
    ],
)
def test_a_graph_is_taken_in_every_form_it_comes_in(document):
    assert parse_raw(document) == GRAPH


def test_a_copy_is_given_in_which_every_node_has_inputs():
    document = {"1": {"class_type": "Note"}, "2": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    sent = copy.deepcopy(document)
    graph = parse_raw(document)
    assert graph["1"]["inputs"] == {}
    graph["2"]["inputs"]["image"] = "b.png"
    assert document == sent


def test_a_node_with_a_wrappers_name_is_no_wrapper():
    graph = {"prompt": {"class_type": "Note", "inputs": {}}, "workflow": {"class_type": "Note", "inputs": {}}}
    assert parse_raw(graph) == graph


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"nodes": [], "links": []}, "workflow: this is a UI-format export"),
        ({"nodes": [], "definitions": {}}, "workflow: this is a UI-format export"),
        ({"workflow": {"nodes": [], "links": []}}, "workflow: this is a UI-format export"),
        ("", "workflow: is empty"),
        ("{", "workflow: not JSON: "),
        ("[1, 2]", "workflow: a graph is an object of nodes, not an array"),
        ('{"1": {"class_type": "A"}, "1": {"class_type": "B"}}', 'workflow: the key "1" stands twice'),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "workflow: NaN is no JSON value"),
        ({"1": {"class_type": "A", "inputs": {"x": float("nan")}}}, "workflow: holds NaN"),
        ({"1": {"class_type": "A", "inputs": {"x": b"bytes"}}}, "workflow: holds NaN, Infinity or something else"),
        ({"1": {"class_type": "A", "inputs": {"x": "\ud800"}}}, "workflow: holds half of a character"),
        (None, "workflow: must be a graph, as an object or as its JSON in a string, not null"),
        ([GRAPH], "workflow: must be a graph, as an object or as its JSON in a string, not an array"),
        ({}, "workflow: the graph has no nodes"),
        ({"prompt": GRAPH, "images": []}, 'workflow: the graph stands under "prompt" here, and images beside it'),
        ({"workflow": GRAPH, "prompt": GRAPH}, 'workflow: the graph stands under "prompt" here, and workflow beside'),
        ({"prompt": GRAPH, "partial_execution_targets": ["2"]}, "and partial_execution_targets beside it"),
        ({"input": {"workflow": GRAPH}}, "workflow.input: the node has no class_type"),
        ({"1": {"class_type": "A", "inputs": None}}, "workflow.1: a node's inputs are an object, not null"),
        ({"1": {"class_type": "A", "inputs": {"x": ["9", 0]}}}, "workflow.1.inputs.x: it is linked to node 9"),
        ({"1": {"class_type": "A", "inputs": {"x": ["1", 0]}}}, "workflow: the links go round in a circle: 1 -> 1"),
    ],
)
def test_what_is_no_graph_is_refused_with_the_reason_and_the_remedy(document, message):
    error = refusal(document)
    assert message in str(error)
    assert "Workflow > Export (API)" in error.hint
    assert all(problem.where.startswith("workflow") for problem in error.problems)


def test_every_problem_of_a_graph_is_told_at_once():
    error = refusal({"1": [], "2": {"inputs": {}}, "3": {"class_type": "A", "inputs": {"x": ["8", 0]}}})
    assert [problem.where for problem in error.problems] == ["workflow.1", "workflow.2", "workflow.3.inputs.x"]


def test_a_graph_may_be_large_but_not_without_bound():
    graph = {str(number): {"class_type": "Note", "inputs": {}} for number in range(MOST_NODES)}
    assert len(parse_raw(graph)) == MOST_NODES
    assert f"has {MOST_NODES + 1} nodes, and at most {MOST_NODES}" in str(refusal({**graph, "more": graph["1"]}))


def test_depth_without_end_is_refused_in_either_form():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert "nested too deeply" in str(refusal({"1": {"class_type": "A", "inputs": {"x": deep}}}))
    assert "nested too deeply" in str(refusal('{"a":' * 100_000 + "1" + "}" * 100_000))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["1", "2", "prompt", "workflow", "nodes", "links", "class_type", "inputs", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_graph_or_refused_politely(document):
    try:
        graph = parse_raw(document)
    except InvalidRequest as error:
        message = str(error)
    else:
        message = ""
        assert all(isinstance(node["class_type"], str) and isinstance(node["inputs"], dict) for node in graph.values())
        assert parse_raw(json.dumps(graph)) == graph
    assert message == "" or message.startswith("workflow")


# Which requests bring a graph.


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"workflow": GRAPH}, True),
        ({"workflow": json.dumps(GRAPH)}, True),
        ({"workflow": " \n{}"}, True),
        ({"workflow_url": "https://example.org/graph.json"}, True),
        ({"workflow": "custom", "payload": GRAPH}, True),
        ({"workflow": [], "payload": {}}, True),
        ({"workflow": "txt2img", "payload": {}}, False),
        ({"workflow": None, "workflow_url": None}, False),
        ({"action": "list"}, False),
    ],
)
def test_a_request_brings_a_graph_or_names_a_workflow(request_, expected):
    assert brings_graph(request_) is expected


def test_a_workflow_of_the_operators_that_is_called_custom_is_a_named_one():
    assert not brings_graph({"workflow": "custom", "payload": {}}, names=["custom"])
    assert brings_graph({"workflow": GRAPH}, names=["custom"])


def test_the_graph_is_found_in_each_form_of_request():
    assert graph_document({"workflow": GRAPH, "payload": {}}, allowed=True) == GRAPH
    assert graph_document({"workflow": "{}"}, allowed=True) == "{}"
    assert graph_document({"workflow": "custom", "payload": GRAPH}, allowed=True) == GRAPH
    assert graph_document({"workflow_url": "https://example.org/graph.json"}, allowed=True) is None


@pytest.mark.parametrize("request_", [{"workflow": GRAPH}, {"workflow": "custom"}, {"workflow_url": "https://x.org"}])
def test_without_the_operators_permission_the_setting_is_named(request_):
    with pytest.raises(InvalidRequest, match="workflow: whole graphs are not allowed on this worker") as caught:
        graph_document(request_, allowed=False)
    assert "ALLOW_RAW_WORKFLOWS=1" in caught.value.hint


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"workflow": GRAPH, "workflow_url": "https://x.org"}, "workflow_url: there is a `workflow` as well"),
        ({"workflow": GRAPH, "payload": {"seed": 1}}, "payload: a whole graph has no parameters"),
        ({"workflow_url": "https://x.org", "payload": GRAPH}, "payload: a whole graph has no parameters"),
    ],
)
def test_a_request_with_two_things_to_run_is_refused(request_, message):
    with pytest.raises(InvalidRequest, match=message):
        graph_document(request_, allowed=True)


# Files sent along.


@pytest.mark.parametrize(
    ("class_type", "name"),
    [
        ("LoadImage", "image"),
        ("LoadImageMask", "image"),
        ("LoadImageOutput", "image"),
        ("LoadAudio", "audio"),
        ("LoadVideo", "file"),
        ("LoadLatent", "latent"),
        ("VHS_LoadVideo", "video"),
        ("VHS_LoadVideoFFmpeg", "video"),
        ("VHS_LoadAudioUpload", "audio"),
    ],
)
@pytest.mark.parametrize("nodes", [NODES, NodeCatalogue({})], ids=["catalogue", "none"])
def test_a_sent_file_is_put_where_a_loader_names_it(class_type, name, nodes):
    graph, warnings = with_files(loader(class_type, **{name: "mine.bin"}), {"mine.bin": "job_1.bin"}, nodes)
    assert graph == loader(class_type, **{name: "job_1.bin"})
    assert warnings == []


def test_a_custom_node_is_known_by_the_mark_that_its_input_carries():
    raw = {
        "Theirs": {
            "input": {
                "required": {"photo": [["a.png"], {"image_upload": True}], "mode": [["in.png"], {}]},
                "optional": {"clip": ["COMBO", {"options": [], "video_upload": True}]},
            },
            "output": ["IMAGE"],
        }
    }
    nodes = NodeCatalogue.from_object_info(raw, version="1", live=True)
    graph = loader("Theirs", photo="in.png", mode="in.png", clip="in.mp4")
    places = media_places(graph, nodes)
    assert {name: [place.input_name for place in found] for name, found in places.items()} == {
        "in.png": ["photo"],
        "in.mp4": ["clip"],
    }


@pytest.mark.parametrize(
    ("stands", "sent"),
    [
        ("in.png [input]", "in.png"),
        ("in.png [output]", "in.png"),
        ("in.png", "in.png [input]"),
        ("clipspace\\mask 1.png [input]", "clipspace/mask 1.png"),
        (" in.png ", "in.png"),
        ("a[b].png", "a[b].png"),
    ],
)
def test_names_are_the_same_however_they_say_their_folder(stands, sent):
    graph, warnings = with_files(loader("LoadImage", image=stands), {sent: "job_1.png"}, NODES)
    assert graph["1"]["inputs"]["image"] == "job_1.png"
    assert warnings == []


def test_names_differ_by_case_and_folder():
    for stands in ("In.png", "sub/in.png", "in.png [elsewhere]"):
        graph, warnings = with_files(loader("LoadImage", image=stands), {"in.png": "job_1.png"}, NODES)
        assert graph["1"]["inputs"]["image"] == stands
        assert len(warnings) == 1


def test_one_file_is_put_at_all_its_places_and_the_graph_is_left_as_it_is():
    graph = {**GRAPH, "3": {"class_type": "LoadImageMask", "inputs": {"image": "in.png", "channel": "red"}}}
    sent = copy.deepcopy(graph)
    filled, _ = with_files(graph, {"in.png": "job_1.png"}, NODES)
    assert [filled[node_id]["inputs"]["image"] for node_id in ("1", "3")] == ["job_1.png", "job_1.png"]
    assert filled["1"]["_meta"] == {"title": "Load"}
    assert graph == sent


def test_names_that_swap_do_not_chase_each_other():
    graph = {"1": GRAPH["1"], "2": {"class_type": "LoadImage", "inputs": {"image": "b.png"}}}
    filled, _ = with_files(graph, {"in.png": "b.png", "b.png": "in.png"}, NODES)
    assert [filled[node_id]["inputs"]["image"] for node_id in ("1", "2")] == ["b.png", "in.png"]


@pytest.mark.parametrize(
    ("graph", "sent", "warning"),
    [
        (GRAPH, "inn.png", 'the sent file "inn.png" was not used: the graph does not load it (did you mean "in.png"?)'),
        (GRAPH, "dog.jpeg", 'the sent file "dog.jpeg" was not used: the graph does not load it; it loads: in.png'),
        (loader("Note"), "in.png", 'the sent file "in.png" was not used: the graph does not load it'),
        (
            loader("VHS_LoadVideoPath", video="in.mp4"),
            "in.mp4",
            'the sent file "in.mp4" was not used: its name stands at VHS_LoadVideoPath (1).video, which takes no '
            "uploaded file",
        ),
        (
            loader("SaveImage", filename_prefix="in.png"),
            "in.png",
            'the sent file "in.png" was not used: its name stands at SaveImage (1).filename_prefix, which takes no '
            "uploaded file",
        ),
    ],
)
def test_a_sent_file_that_nothing_loads_is_told_with_a_guess(graph, sent, warning):
    filled, warnings = with_files(graph, {sent: "job_1.png"}, NODES)
    assert filled == graph
    assert warnings == [warning]


def test_a_name_with_line_breaks_stays_on_its_line_of_the_log():
    _, [warning] = with_files(GRAPH, {"a\nERROR all is lost": "job_1.png"}, NODES)
    assert "\n" not in warning


def test_an_input_that_is_linked_is_not_a_place_for_a_file():
    graph = {"1": {"class_type": "Text", "inputs": {}}, "2": {"class_type": "LoadImage", "inputs": {"image": ["1", 0]}}}
    assert media_places(graph, NODES) == {}


NAMES = st.text(min_size=1, max_size=12).filter(str.strip)


@given(st.dictionaries(NAMES, NAMES, max_size=5), st.lists(NAMES, max_size=5))
def test_each_sent_file_is_either_loaded_or_warned_about(names, loaded):
    graph = {str(n): {"class_type": "LoadImage", "inputs": {"image": name}} for n, name in enumerate(loaded)}
    filled, warnings = with_files(graph, names, NODES)
    now = [node["inputs"]["image"] for node in filled.values()]
    assert all(new == old or new in names.values() for new, old in zip(now, loaded, strict=True))
    # Two sent names may be one to ComfyUI ("a" and "a "), so there can be fewer places than names in use.
    assert len(warnings) <= len(names)
    for name in set(names) & set(loaded):
        assert now[loaded.index(name)] in names.values()
        assert not [warning for warning in warnings if warning.startswith(f"the sent file {shown(name)} ")]


@pytest.mark.skipif(not CORPUS, reason="the corpus of graphs is not beside the repository")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_real_graph_is_taken_and_its_pictures_are_found(path):
    text = path.read_text(encoding="utf-8")
    if path.stem == "sd15_text2img_not_api_version":
        assert "UI-format" in str(refusal(text))
        return
    graph = parse_raw(text)
    assert {node_id: {"inputs": {}, **node} for node_id, node in json.loads(text).items()} == graph
    loaders = [n for n in graph.values() if n["class_type"] in {"LoadImage", "LoadImageMask", "VHS_LoadVideo"}]
    assert sum(len(places) for places in media_places(graph, NODES).values()) == len(loaders)


def test_a_sent_picture_goes_through_a_whole_graph_in_comfyui(comfy, run, tmp_path):
    source = tmp_path / "theirs.png"
    source.write_bytes(picture((24, 16)))
    known_as = comfy.client.upload(source, filename="job 1 theirs.png", subfolder="raw")
    sent = json.dumps({"prompt": {**GRAPH, "1": {"class_type": "LoadImage", "inputs": {"image": "in.png [input]"}}}})
    graph, warnings = with_files(parse_raw(sent), {"in.png": known_as}, comfy.node_catalogue())
    execution = run(graph)
    [(made, path)] = comfy.collect(execution, [], tmp_path)
    assert warnings == []
    assert made.node_id == "2"
    with Image.open(path) as image:
        assert image.size == (24, 16)
