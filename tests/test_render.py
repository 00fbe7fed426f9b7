"""Rendering: what is written where, what can't be, and that the template and other renders never change."""

import copy
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import ROOT, make_workflow, sampler_graph

from engine import Catalog
from engine.authoring.checking.examples import rendered_examples
from engine.errors import RenderFailed
from engine.graph import needed_by


@pytest.fixture
def txt2img():
    return Catalog([ROOT])["txt2img"]


def test_values_go_where_they_are_bound(txt2img):
    graph = txt2img.render(txt2img.validate({"prompt": "a cat", "seed": 7, "width": 256, "ckpt_name": "b.ckpt"}))
    assert graph["6"]["inputs"]["text"] == "a cat"
    assert graph["3"]["inputs"]["seed"] == 7
    assert graph["5"]["inputs"] == {"width": 256, "height": 512, "batch_size": 1}
    assert graph["4"]["inputs"]["ckpt_name"] == "b.ckpt"
    assert graph["3"]["inputs"]["model"] == ["4", 0]


def test_a_list_that_a_caller_sends_never_acts_as_a_link(tmp_path):
    graph = sampler_graph() | {"20": {"class_type": "OfSomePack", "inputs": {"points": [1, 2, 3], "from": ["9", 0]}}}
    points = {"type": "array", "items": {"type": "string"}, "bind": "$['20'].inputs.points", "required": True}
    workflow = make_workflow(tmp_path, {"parameters": {"points": points}, "outputs": {"all": {"node": "20"}}}, graph)
    values = workflow.validate({"points": ["4", "0"]})
    rendered = workflow.render(values)
    assert rendered["20"]["inputs"]["points"] == {"__value__": ["4", "0"]}
    rendered["20"]["inputs"]["points"]["__value__"].append("changed")
    assert values["points"] == ["4", "0"]
    assert workflow.render(values)["20"]["inputs"]["points"] == {"__value__": ["4", "0"]}


def test_computed_values_are_written_with_their_type(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "prompt": {"type": "string", "required": True},
                "width": {"type": "integer", "bind": "$['5'].inputs.width"},
            },
            "computed": {
                "$['6'].inputs.text": "{{ prompt }}, oil on canvas",
                "$['5'].inputs.height": "width * 3 / 4",
                "$['9'].inputs.filename_prefix": "{{ workflow }}-{{ job_id }}",
            },
        },
    )
    graph = workflow.render(workflow.validate({"prompt": "{{ width }}", "width": 512}), job_id="j1")
    assert graph["6"]["inputs"]["text"] == "{{ width }}, oil on canvas"
    assert json.dumps(graph["5"]["inputs"]["height"]) == "384"
    assert graph["9"]["inputs"]["filename_prefix"] == "made-j1"


@pytest.mark.parametrize(
    ("place", "expression", "message"),
    [
        ("$['3'].inputs.steps", "n ~ ''", "the input takes INT, the expression gives a string"),
        ("$['3'].inputs.steps", "n / 3", "the input takes a whole number"),
        ("$['3'].inputs.steps", "n * -1", "the input takes at least 1"),
        ("$['3'].inputs.steps", "n * 10000", "the input takes at most 10000"),
        ("$['3'].inputs.steps", "n / (n - n)", "division by zero"),
        ("$['3'].inputs.steps", "true", "takes INT, the expression gives a boolean"),
        ("$['3'].inputs.sampler_name", "'eulr'", 'is not a choice of the input (did you mean "euler"?)'),
        ("$['6'].inputs.text", "n", "the input takes STRING, the expression gives a number"),
    ],
)
def test_what_does_not_fit_its_place_is_refused_and_named(tmp_path, place, expression, message):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {"n": {"type": "integer", "default": 10, "bind": "$['5'].inputs.batch_size"}},
            "computed": {place: expression},
        },
    )
    with pytest.raises(RenderFailed) as caught:
        workflow.render(workflow.validate({}))
    assert message in str(caught.value)
    assert expression in str(caught.value)
    assert "KSampler (3)." in str(caught.value) or "CLIPTextEncode (6)." in str(caught.value)


def rewired(tmp_path, expression):
    """A workflow whose KSampler takes its latent from where the expression says."""
    return make_workflow(
        tmp_path,
        {
            "parameters": {},
            "computed": {"$['3'].inputs.latent_image": {"expression": expression, "replaces_link": True}},
        },
    )


def test_an_expression_can_rewire_and_what_is_not_needed_is_pruned(tmp_path):
    graph = sampler_graph()
    graph["15"] = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {"small": {"type": "boolean", "default": False}},
            "computed": {
                "$['3'].inputs.latent_image": {
                    "expression": "['15', 0] if small else ['5', 0]",
                    "replaces_link": True,
                }
            },
        },
        graph,
    )
    small = workflow.render(workflow.validate({"small": True}))
    assert "5" not in small
    assert small["3"]["inputs"]["latent_image"] == ["15", 0]
    assert "15" not in workflow.render(workflow.validate({}))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("['77', 0]", "the link leads to node 77, which is not in the template"),
        ("['5', 1]", "EmptyLatentImage (5) has no output 1"),
        ("['4', 0]", "output 0 of CheckpointLoaderSimple (4) is MODEL, the input takes LATENT"),
        ("['5', 0, 1]", "is no link"),
        ("'5'", "the input takes a link (LATENT)"),
    ],
)
def test_a_link_that_leads_nowhere_is_refused(tmp_path, expression, message):
    workflow = rewired(tmp_path, expression)
    with pytest.raises(RenderFailed) as caught:
        workflow.render(workflow.validate({}))
    assert message in str(caught.value)


def test_a_circle_is_refused(tmp_path):
    workflow = rewired(tmp_path, "['3', 0]")
    with pytest.raises(RenderFailed, match="go round in a circle: 3 -> 3"):
        workflow.render(workflow.validate({}))


def test_null_is_not_written(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "steps": {"type": "integer", "default": None, "bind": "$['3'].inputs.steps"},
                "scale": {"type": "number", "default": None},
            },
            "computed": {"$['3'].inputs.cfg": "scale"},
        },
    )
    inputs = workflow.render(workflow.validate({"steps": None}))["3"]["inputs"]
    assert (inputs["steps"], inputs["cfg"]) == (20, 8)
    assert workflow.render(workflow.validate({"steps": 3, "scale": 2}))["3"]["inputs"]["steps"] == 3


def test_an_input_that_the_export_lacks_is_made(tmp_path):
    graph = sampler_graph()
    del graph["3"]["inputs"]["denoise"]
    bind = {"path": "$['3'].inputs.denoise", "create": True}
    workflow = make_workflow(
        tmp_path, {"parameters": {"denoise": {"type": "number", "default": None, "bind": bind}}}, graph
    )
    assert workflow.render(workflow.validate({"denoise": 0.5}))["3"]["inputs"]["denoise"] == 0.5
    assert "denoise" not in workflow.render(workflow.validate({}))["3"]["inputs"]


def test_one_parameter_in_several_places(tmp_path):
    workflow = make_workflow(
        tmp_path,
        {
            "parameters": {
                "text": {"type": "string", "default": "x", "bind": {"path": "$..text", "match": "all"}},
                "size": {"type": "integer", "bind": ["$['5'].inputs.width", "$['5'].inputs.height"]},
            }
        },
    )
    graph = workflow.render(workflow.validate({"text": "both", "size": 128}))
    assert {graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"]} == {"both"}
    assert graph["5"]["inputs"]["width"] == graph["5"]["inputs"]["height"] == 128


def test_what_no_declared_output_needs_is_dropped(tmp_path):
    graph = sampler_graph()
    graph["30"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    graph["31"] = {"class_type": "NodeThatIsNotInstalled", "inputs": {}}
    workflow = make_workflow(tmp_path, {"parameters": {}, "outputs": {"image": {"node": "9"}}}, graph)
    assert set(workflow.render(workflow.validate({}))) == {"3", "4", "5", "6", "7", "8", "9"}


def test_without_declared_outputs_every_output_node_is_one(tmp_path):
    graph = sampler_graph() | {"30": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    workflow = make_workflow(tmp_path, {"parameters": {}}, graph)
    assert {output.node_id for output in workflow.outputs} == {"9", "30"}
    assert "30" in workflow.render(workflow.validate({}))


def test_files_are_written_by_the_name_that_comfyui_knows_them_by():
    workflow = Catalog([ROOT])["img2img"]
    values = workflow.validate({"prompt": "x", "image": "QUJD"})
    assert workflow.render(values, {"image": "job/cat.png"})["10"]["inputs"]["image"] == "job/cat.png"
    assert workflow.render(values)["10"]["inputs"]["image"] == "image.png"


def test_results_share_nothing_with_the_template(txt2img):
    before = copy.deepcopy(dict(txt2img.template))
    graph = txt2img.render(txt2img.validate({"prompt": "x"}))
    for node in graph.values():
        node["inputs"].clear()
        node["_meta"]["title"] = "changed"
    second = txt2img.render(txt2img.validate({"prompt": "x"}))
    second["3"]["inputs"]["model"].append("changed")
    assert txt2img.template == before
    assert txt2img.render(txt2img.validate({"prompt": "x"}))["3"]["inputs"]["model"] == ["4", 0]


def spoilt(value):
    """Change all that can be changed in a value."""
    for below in list(value.values() if isinstance(value, dict) else value):
        if isinstance(below, dict | list):
            spoilt(below)
    value.clear()


EVERYTHING = st.fixed_dictionaries(
    {"prompt": st.text(max_size=5)},
    optional={
        "control_image": st.just("QUJD"),
        "image": st.just("QUJD"),
        "upscale": st.sampled_from([1, 2.5]),
        "loras": st.integers(0, 4).map(loras),
    },
)


@pytest.fixture(scope="module", params=["with a computed link", "with operators alone"])
def everything(request, tmp_path_factory):
    document = everything_map()
    if request.param == "with operators alone":
        del document["computed"]
    return make_workflow(tmp_path_factory.mktemp("everything"), document, everything_graph())


@given(payload=EVERYTHING, other=EVERYTHING, previews=st.booleans())
@settings(max_examples=40)
def test_who_spoils_a_rendered_graph_spoils_no_other_and_no_values(everything, payload, other, previews):
    """With repeats, switches and a computed link: nodes that nothing touched are as much the caller's as the others."""
    template = copy.deepcopy(dict(everything.template))
    values, others = everything.validate(payload | {"seed": 1}), everything.validate(other | {"seed": 1})
    kept = copy.deepcopy(values)
    first = everything.render(values, previews=previews)
    expected = copy.deepcopy(first)
    second = everything.render(others, previews=previews)
    spoilt(second)
    assert first == expected
    spoilt(first)
    assert everything.template == template
    assert values == kept
    assert everything.render(values, previews=previews) == expected
    links = [value for node in expected.values() for value in node["inputs"].values() if type(value) is list]
    assert all(node_id in expected for node_id, _ in links)
    # What is kept is needed: pruning by what changed leaves what looking at the whole graph would leave.
    if not previews:
        assert set(expected) == needed_by(expected, ["9"])


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.integers(0, 2**64 - 1)), min_size=2, max_size=12))
@settings(max_examples=40)
def test_concurrent_renders_do_not_touch_each_other(calls):
    workflow = Catalog([ROOT])["resize" if len(calls) % 2 else "txt2img"]
    before = json.dumps(workflow.template)
    alone = [one_render(workflow, prompt, seed) for prompt, seed in calls]
    together = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def work(index):
        barrier.wait()
        for _ in range(20):
            together[index] = one_render(workflow, *calls[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert json.dumps(workflow.template) == before


def one_render(workflow, prompt, seed):
    if workflow.name == "resize":
        return workflow.render(workflow.validate({"width": seed % 4000 + 1, "image": "QUJD" if seed % 2 else None}))
    return workflow.render(workflow.validate({"prompt": prompt, "seed": seed}))


@pytest.mark.parametrize("name", ["txt2img", "img2img", "resize"])
def test_the_examples_render_to_what_was_reviewed(name):
    """After a wanted change: make rendered, and look at the difference."""
    rendered = {each.stem: each.graph for each in rendered_examples(Catalog([ROOT])[name])}
    kept = {path.stem: json.loads(path.read_text()) for path in (ROOT / "tests" / "rendered" / name).glob("*.json")}
    assert rendered == kept
