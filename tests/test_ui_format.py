"""Graphs in UI format become graphs in API format: by a real comfy-cli, and by programs that fail in its place."""

import copy
import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import fresh_number
from support.runners import asked, refused, runner_on
from support.ui_documents import (
    INSTANCE,
    api_picture,
    document,
    nested,
    node,
    picture,
    program,
    saying,
    subgraph,
)

from engine.cancellation import CancellationToken
from engine.envelope import answer
from engine.errors import Cancelled
from engine.nodes import NodeCatalogue, load_catalogue
from engine.ui_format import Converter, NotConverted, check, find_program
from engine.ui_format.bounds import MOST_NODES
from engine.ui_format.prepared import prepared

NODES = load_catalogue()
CONVERT = Converter(NODES)


def inputs_of(converted):
    return {node_id: each["inputs"] for node_id, each in converted.graph.items()}


def refusal(document, **options):
    with pytest.raises(NotConverted) as caught:
        Converter(NODES, **options)(document)
    return caught.value


def test_a_graph_is_converted_and_the_document_left_as_it_is():
    ui = picture()
    before = copy.deepcopy(ui)
    converted = CONVERT(ui)
    assert converted.graph == api_picture()
    assert converted.notes == ()
    assert ui == before


def test_what_was_converted_runs(run):
    graph = CONVERT(picture(color=fresh_number())).graph
    assert run(graph).outputs["2"]["images"]


def test_a_seeds_control_is_no_value():
    values = (7, "randomize", 20, 8, "euler", "normal", 1)
    [sampler] = inputs_of(CONVERT(document([node(3, "KSampler", values)]))).values()
    assert sampler == {
        "seed": 7,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }


def test_what_only_the_editor_knows_is_resolved():
    ui = document(
        [
            node(1, "EmptyImage", (16, 8, 1, 0), outputs=[("IMAGE", [1])]),
            node(2, "Reroute", inputs=[("", "*", 1)], outputs=[("IMAGE", [2])]),
            node(3, "SetNode", ("picture",), inputs=[("IMAGE", "IMAGE", 2)]),
            node(4, "GetNode", ("picture",), outputs=[("IMAGE", [3])]),
            node(5, "ImageInvert", inputs=[("image", "IMAGE", 3)], outputs=[("IMAGE", [4])], mode=4),
            node(6, "SaveImage", ("out",), inputs=[("images", "IMAGE", 4), ("filename_prefix", "STRING", 5, {})]),
            node(7, "PrimitiveNode", ("from outside",), outputs=[("STRING", [5])]),
            node(8, "Note", ("read this",)),
            node(9, "SaveImage", ("muted",), inputs=[("images", "IMAGE", 6)], mode=2),
        ],
        [
            [1, 1, 0, 2, 0, "IMAGE"],
            [2, 2, 0, 3, 0, "IMAGE"],
            [3, 4, 0, 5, 0, "IMAGE"],
            [4, 5, 0, 6, 0, "IMAGE"],
            [5, 7, 0, 6, 1, "STRING"],
            [6, 1, 0, 9, 0, "IMAGE"],
        ],
    )
    converted = CONVERT(ui)
    assert inputs_of(converted)["6"] == {"images": ["1", 0], "filename_prefix": "from outside"}
    assert set(converted.graph) == {"1", "6"}
    assert converted.notes == ()


def with_subgraph(**more):
    inner = subgraph(
        [node(3, "ImageInvert", inputs=[("image", "IMAGE", 1)], outputs=[("IMAGE", [2])])],
        [[1, -10, 0, 3, 0, "IMAGE"], [2, 3, 0, -20, 0, "IMAGE"]],
        inputs=[("image", "IMAGE", [1])],
        outputs=[("IMAGE", "IMAGE", [2])],
    )
    return document(
        [
            node(1, "EmptyImage", (16, 8, 1, 0), outputs=[("IMAGE", [1])]),
            node(76, INSTANCE, inputs=[("image", "IMAGE", 1)], outputs=[("IMAGE", [2])], **more),
            node(2, "SaveImage", ("out",), inputs=[("images", "IMAGE", 2)]),
        ],
        [[1, 1, 0, 76, 0, "IMAGE"], [2, 76, 0, 2, 0, "IMAGE"]],
        [inner],
    )


def test_a_subgraphs_nodes_get_the_ids_that_the_editor_gives_them():
    assert inputs_of(CONVERT(with_subgraph())) == {
        "1": {"width": 16, "height": 8, "batch_size": 1, "color": 0},
        "76:3": {"image": ["1", 0]},
        "2": {"filename_prefix": "out", "images": ["76:3", 0]},
    }


def test_a_bypassed_subgraph_hands_on_what_it_is_given():
    assert inputs_of(CONVERT(with_subgraph(mode=4)))["2"]["images"] == ["1", 0]


def test_a_subgraph_may_be_defined_within_another_and_links_may_be_objects():
    ui = with_subgraph()
    outer = "11111111-0000-4000-8000-000000000000"
    inner = ui["definitions"]["subgraphs"]
    ui["definitions"]["subgraphs"] = [{**subgraph([], [], subgraph_id=outer), "definitions": {"subgraphs": inner}}]
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    ui["links"] = [dict(zip(keys, link, strict=True)) for link in ui["links"]]
    assert inputs_of(CONVERT(ui)) == inputs_of(CONVERT(with_subgraph()))


def test_an_authors_alternatives_are_not_drawn_once_and_for_all():
    text = "a {red|blue} hat // not a comment, a text"
    converted = CONVERT(document([node(6, "CLIPTextEncode", (text,))]))
    assert inputs_of(converted)["6"] == {"text": text}
    [note] = converted.notes
    assert note.startswith("CLIPTextEncode (6).text: the editor takes one of the texts in {braces|like these}")


def test_texts_with_all_ends_of_lines_come_through():
    text = "one\ntwo\r\nthree\u2028four\x85five\x0bsix\x1cseven 灯台 😀"
    assert inputs_of(CONVERT(document([node(6, "CLIPTextEncode", (text,))])))["6"] == {"text": text}


def test_a_class_that_the_converter_would_leave_out_stays():
    ui = document([node(1, "LoadImageOutput", ("a.png [output]", "image"))])
    assert CONVERT(ui).graph["1"]["class_type"] == "LoadImageOutput"


def test_a_nodes_class_is_the_one_it_says_not_the_one_it_had():
    replaced = node(1, "EmptyImage", (16, 8, 1, 0))
    replaced["properties"]["Node name for S&R"] = "KSampler"
    assert inputs_of(CONVERT(document([replaced])))["1"] == {"width": 16, "height": 8, "batch_size": 1, "color": 0}


def test_values_of_another_version_of_a_class_are_read_by_their_names():
    """The class has no `shift` between its inputs: read by position, all values after it would be others'."""
    named = {"width": 16, "shift": 5, "height": 8, "batch_size": 1, "color": 3, "control_after_generate": "fixed"}
    ui = document([node(1, "EmptyImage", tuple(named.values()), widgets_values_named=named)])
    converted = CONVERT(ui)
    assert inputs_of(converted)["1"] == {"width": 16, "height": 8, "batch_size": 1, "color": 3}
    assert converted.notes == (
        f"left out, since these nodes have other inputs in ComfyUI {NODES.version}: EmptyImage (1).shift",
    )


def test_a_button_among_the_values_is_none():
    button = {"name": "upload", "type": "button", "options": {"serialize": False}, "label": "choose file to upload"}
    converted = CONVERT(document([node(1, "LoadImage", ("fox.jpg", button)), node(2, "Unheard", (button,))]))
    assert inputs_of(converted) == {"1": {"image": "fox.jpg"}, "2": {}}
    assert len(converted.notes) == 1


def test_where_the_list_was_changed_by_hand_it_counts_and_not_the_names_record():
    ui = document([node(1, "LoadImage", ("new.png", "image"), widgets_values_named={"image": "old.png", "upload": ""})])
    assert inputs_of(CONVERT(ui))["1"]["image"] == "new.png"


@pytest.mark.parametrize(
    "told",
    [
        {"widgets_values_named": {"prompt": "a cat", "seed": 5, "control_after_generate": "randomize", "size": "1K"}},
        {
            "inputs": [
                (name, kind, None, {}) for name, kind in (("prompt", "STRING"), ("seed", "INT"), ("size", "COMBO"))
            ]
        },
    ],
    ids=["by a record", "by its slots"],
)
def test_an_unknown_class_is_read_by_the_names_in_the_export(told):
    converted = CONVERT(document([node(1, "Unheard", ("a cat", 5, "randomize", "1K"), **told)]))
    assert inputs_of(converted)["1"] == {"prompt": "a cat", "seed": 5, "size": "1K"}
    assert converted.notes == ("not in the node catalogue: Unheard; what is known of them stands in the export alone",)


def test_what_nobody_can_name_is_told_and_given_to_no_input_that_takes_links_alone():
    slots = [("files", "FILES", None), ("prompt", "STRING", None, {})]
    converted = CONVERT(document([node(1, "Unheard", ("a cat", "gpt", 5, "randomize"), inputs=slots)]))
    assert inputs_of(converted)["1"] == {"prompt": "a cat"}
    assert "these may be wrong: Unheard (1) (prompt; 2 left out)" in converted.notes[1]


def promoted(levels, each):
    """Subgraphs within subgraphs, each with inputs that lead on to the next one's."""
    inner = nested(levels, 1)
    for level in inner["definitions"]["subgraphs"]:
        slots = [(f"x{at}", "INT", at, {}) for at in range(each)]
        links = [[at, -10, at, 0, at, "INT"] for at in range(each)]
        outer = [(name, kind, [at]) for name, kind, at, _ in slots]
        level.update(
            subgraph([node(0, level["nodes"][0]["type"], inputs=slots)], links, inputs=outer) | {"id": level["id"]}
        )
    return inner


WIDE = subgraph([node(1, "A")], [[n, 1, 0, 1, 0, "X"] for n in range(1000)])


@pytest.mark.parametrize(
    ("ui", "message"),
    [
        (nested(3, 1, circle=True), 'its subgraph "Inner" holds itself'),
        (nested(9, 10), "it has 1000000000 nodes with those of its subgraphs, and at most 5000 are taken"),
        (nested(12, 1), "its subgraphs are nested more than 9 levels deep"),
        (document([node(n, "Note") for n in range(MOST_NODES + 1)]), "it has 5001 nodes"),
        (document([], [[n, 1, 0, 2, 0, "X"] for n in range(50_001)]), "it has 50001 links and inputs"),
        (document([node(1, "A", inputs=[("x", "X", 1)] * 50_001)]), "it has 50001 links and inputs"),
        (document([node(n, INSTANCE) for n in range(60)], [], [WIDE]), "it has 60000 links and inputs"),
        (promoted(levels=9, each=8), "it has 387420488 ways through the inputs"),
        (document([node(1, "EmptyImage"), node("1", "EmptyImage")]), "it has several nodes with one id: 1"),
        (document([], [], [subgraph([node(1, "A"), node(1, "B")], [])]), "it has several nodes with one id: 1"),
        (document([{"id": 1, "type": ["EmptyImage"]}, {"id": 2}]), "it has nodes without a type: 1, 2"),
        (document([node(1, "workflow>mine")]), "it has group nodes, which no ComfyUI can run as they are"),
        (document([node(1, "EmptyImage", json.loads("[" * 150 + "]" * 150))]), "nested more than 100 levels deep"),
    ],
    ids=[
        *("circle", "bomb", "depth", "nodes", "links", "inputs", "links of instances", "ways", "ids", "inner ids"),
        *("types", "group nodes", "values"),
    ],
)
def test_what_was_made_to_be_a_burden_is_refused_before_anything_is_run(tmp_path, ui, message):
    ran = tmp_path / "ran"
    never = program(tmp_path, f"open({str(ran)!r}, 'w')")
    assert message in refusal(ui, program=never).message
    assert not ran.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-12, 12) | st.sampled_from(["a", "Reroute", "GetNode", INSTANCE]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "nodes"]), inner, max_size=1),
    max_leaves=3,
)


def objects(**keys):
    """Objects with these keys, or some of them, each of a given kind or any JSON; and now and then no object."""
    return st.fixed_dictionaries({}, optional={key: kind | JSON for key, kind in keys.items()}) | JSON


SLOTS = st.lists(
    objects(name=JSON, type=JSON, link=JSON, widget=objects(name=JSON), linkIds=st.lists(JSON)), max_size=2
)
NODES_OF_ANY_KIND = st.lists(
    objects(
        id=st.integers(0, 3),
        type=st.sampled_from(["EmptyImage", "Reroute", "SetNode", "GetNode", "PrimitiveNode", INSTANCE]),
        mode=st.sampled_from([0, 2, 4]),
        inputs=SLOTS,
        outputs=SLOTS,
        widgets_values=st.lists(JSON, max_size=3),
        properties=objects(proxyWidgets=st.lists(st.lists(JSON, max_size=2), max_size=2)),
    ),
    max_size=3,
)
LINKS = st.lists(
    st.lists(JSON, min_size=6, max_size=6) | objects(id=JSON, origin_id=JSON, origin_slot=JSON), max_size=3
)
SUBGRAPH = objects(
    id=st.just(INSTANCE), nodes=NODES_OF_ANY_KIND, links=LINKS, inputs=SLOTS, outputs=SLOTS, definitions=JSON
)
DEFINITIONS = objects(subgraphs=st.lists(SUBGRAPH, max_size=2))


@settings(max_examples=400)
@given(
    st.fixed_dictionaries(
        {"nodes": NODES_OF_ANY_KIND}, optional={"links": LINKS, "definitions": DEFINITIONS, "extra": JSON}
    )
)
def test_no_document_is_a_surprise_before_it_is_given_away(ui):
    try:
        check(ui)
    except NotConverted as error:
        message = error.message
        assert message.startswith(("its ", "it "))
    else:
        assert json.dumps(prepared(ui, NODES))


def test_a_document_of_odd_parts_ends_in_an_answer():
    odd = document(
        [
            {"id": None, "type": "", "inputs": "x", "widgets_values": {"a": [1, 2]}, "properties": 3},
            {"id": [1], "type": "KSampler", "inputs": [1, {"link": {}}], "widgets_values": [{}, None]},
            {"id": 5, "type": INSTANCE, "properties": {"proxyWidgets": [3, [], [[], {}]]}, "widgets_values": [{}, 3]},
            "no node",
        ],
        [[1, 2], {"id": []}, None],
        [
            {"id": 3},
            "none",
            {"id": "x", "nodes": 5},
            {"id": INSTANCE, "inputs": [1, {"linkIds": [[], 1]}], "outputs": 7},
        ],
    )
    assert {each["class_type"] for each in CONVERT(odd).graph.values()} == {"KSampler"}


def test_where_it_is_not_installed_the_way_to_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert find_program() is None
    error = refusal(picture())
    assert error.message == "this is an export in UI format, and comfy-cli, which converts those, is not installed"
    assert error.hint.startswith(
        "pip install 'comfy-cli>=1.23' beside the engine (some 300 MB); or in ComfyUI choose Workflow > Export (API)"
    )


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


HANGS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({pids!r} + ".new", "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.rename({pids!r} + ".new", {pids!r})
time.sleep(600)
"""


def test_one_that_hangs_is_stopped_with_what_it_started(tmp_path, wait_until):
    pids = tmp_path / "pids"
    error = refusal(picture(), program=program(tmp_path, HANGS.format(pids=str(pids))), seconds=2)
    assert error.message == "comfy-cli took more than 2 seconds and was stopped"
    wait_until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_one_that_hangs_is_stopped_when_the_job_is_cancelled(tmp_path, wait_until):
    pids = tmp_path / "pids"
    cancel = CancellationToken()

    def cancel_soon():
        wait_until(pids.exists)
        cancel.cancel()

    thread = threading.Thread(target=cancel_soon)
    thread.start()
    with pytest.raises(Cancelled):
        Converter(NODES, program=program(tmp_path, HANGS.format(pids=str(pids))))(picture(), cancel=cancel)
    thread.join()
    wait_until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


# It is bound as soon as it runs, which a slow machine may do a moment later; comfy-cli takes longer to begin.
GREEDY = """
import resource, time
while resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
    time.sleep(0.01)
bytearray(8 * 1024**3)
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('rubbish')", "comfy-cli gave an answer that can't be read"),
        ("print('[1]')", "comfy-cli gave an answer without a graph"),
        ('print(\'{"ok": true, "data": {"prompt": {"1": 3}}}\')', "what comfy-cli made of it can't be used: 1: a node"),
        ("pass", "comfy-cli ended with status 0 and said nothing; it has to be 1.23 or newer"),
        (GREEDY, "comfy-cli ended with status 1 and said nothing"),
        ("import os; os.kill(os.getpid(), 9)", "comfy-cli ended with status -9 and said nothing"),
    ],
    ids=["rubbish", "no graph", "no node", "silence", "memory", "killed"],
)
def test_one_that_goes_wrong_is_told_of(tmp_path, code, message):
    assert refusal(picture(), program=program(tmp_path, code)).message.startswith(message)


def test_what_it_refuses_is_told_in_its_words(tmp_path):
    says = saying(tmp_path, {"ok": False, "error": {"code": "conversion_error", "message": "node 3 is odd"}})
    assert refusal(picture(), program=says).message == "comfy-cli refused it: node 3 is odd"


def test_one_that_can_not_be_started_is_told_of(tmp_path):
    assert (
        refusal(picture(), program=tmp_path / "none").message == "comfy-cli can't be started: No such file or directory"
    )


def test_it_sees_nothing_of_ours_and_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("COMFY_API_KEY", "hush")
    code = """
import json, os, pathlib
seen = dict(os.environ) | {"inputs": os.listdir("."), "at home": os.listdir(os.environ["HOME"])}
print(json.dumps({"ok": True, "data": {"prompt": {"1": {"class_type": "Seen", "inputs": seen}}}}))
"""
    seen = Converter(NODES, program=program(tmp_path, code))(picture()).graph["1"]["inputs"]
    assert "hush" not in str(seen)
    assert seen["HOME"] != os.environ.get("HOME")
    assert seen["at home"] == []
    assert (seen["DO_NOT_TRACK"], seen["COMFY_NO_TELEMETRY"], seen["no_proxy"]) == ("1", "1", "127.0.0.1")
    assert seen["https_proxy"] == seen["HTTP_PROXY"] == "http://127.0.0.1:9"


def test_the_classes_are_those_of_the_catalogue_it_is_given():
    """A custom node's, which no other ComfyUI need have."""
    custom = {"Mine": {"input": {"required": {"b": ["INT", {}], "a": ["STRING", {}]}}, "output": []}}
    converted = Converter(NodeCatalogue(custom))(document([node(1, "Mine", (3, "text"))]))
    assert inputs_of(converted)["1"] == {"b": 3, "a": "text"}
    assert converted.notes == ()


@pytest.fixture
def runner(comfy, tmp_path):
    runner = runner_on(comfy, tmp_path, default="inline", allow_raw_workflows=True)
    yield runner
    runner.close()


@pytest.mark.parametrize("form", [lambda ui: ui, json.dumps, lambda ui: {"workflow": ui}])
def test_a_whole_graph_in_ui_format_runs(runner, form):
    reply = asked(runner, {"workflow": form(picture(color=fresh_number(), prefix="from-ui"))})
    [image] = reply.get("images") or reply["results"]
    assert image["filename"].startswith("from-ui")


def test_a_caller_is_warned_of_what_a_conversion_could_not_do(runner):
    ui = picture(color=fresh_number())
    ui["nodes"][0]["widgets_values_named"] = {"width": 16, "height": 8, "batch_size": 1, "shade": 3}
    reply = asked(runner, {"workflow": "custom", "payload": ui})
    assert any("EmptyImage (1).shade" in warning for warning in reply["warnings"])


def test_a_whole_graph_that_was_made_to_be_a_burden_is_refused(runner):
    failure = refused(runner, {"workflow": nested(9, 10)})
    assert failure["code"] == "invalid_request"
    assert failure["problems"] == [
        {
            "parameter": "workflow",
            "message": "this is a UI-format export, and could not be converted: it has 1000000000 nodes with those of "
            "its subgraphs, and at most 5000 are taken",
        }
    ]


def test_a_worker_without_the_converter_names_both_ways(runner, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    failure = refused(runner, {"workflow": picture()})
    assert failure["problems"][0]["message"] == (
        "this is a UI-format export, and what converts those is not installed on this worker"
    )
    assert failure["hint"].endswith("or the operator installs the extra `ui`")


def test_a_job_that_is_cancelled_while_its_graph_is_converted_ends(runner, tmp_path, monkeypatch, wait_until):
    pids = tmp_path / "pids"
    program(tmp_path, HANGS.format(pids=str(pids)))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))  # beside which the program is looked for
    cancel = CancellationToken()

    def cancel_soon():
        wait_until(pids.exists)
        cancel.cancel()

    thread = threading.Thread(target=cancel_soon)
    thread.start()
    with pytest.raises(Cancelled):
        answer({"workflow": picture()}, runner, job_id="job-1", cancel=cancel)
    thread.join()
    wait_until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_conversions_go_on_side_by_side():
    outcomes = [None] * 4

    def convert(index):
        outcomes[index] = CONVERT(picture(color=index)).graph

    threads = [threading.Thread(target=convert, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [api_picture(color=index) for index in range(4)]
