"""The picture of a graph: boxes stand apart, texts fit, and all that a payload decides is named."""

import itertools
import json
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ImageFont
from support.command import run_engine
from support.library import CATALOG, NAMES, NODES
from support.operator_workflows import everything_graph, everything_map
from support.workflows import ROOT, make_workflow, sampler_graph, write_workflow

from engine.authoring.graph_cards import text_width
from engine.authoring.graph_layout import Wire, apart, laid_out
from engine.authoring.graph_picture import graph_picture
from engine.map_file import parse_map
from engine.workflow import Workflow

SVG = "{http://www.w3.org/2000/svg}"


def elements(text, tag):
    return list(ET.fromstring(text).iter(f"{SVG}{tag}"))


def words(text):
    return [each.text or each[0].tail for each in elements(text, "text")]


def boxes(text):
    """Left, top, right and bottom of each box; the second edge of a repeated one is none."""
    found = []
    for each in elements(text, "rect"):
        left, top, width, height = (float(each.get(key, 0)) for key in ("x", "y", "width", "height"))
        if each.get("class", "").startswith("box"):
            found.append((left, top, left + width, top + height))
    return [one for one in found if (one[0] - 5, one[1] - 5, one[2] - 5, one[3] - 5) not in found]


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@st.composite
def graphs(draw):
    """Boxes, and wires from earlier to later ones."""
    sizes = draw(st.lists(st.tuples(st.integers(20, 300), st.integers(20, 300)), min_size=1, max_size=12))
    ends = st.tuples(st.integers(0, len(sizes) - 1), st.integers(0, len(sizes) - 1), st.integers(0, 2))
    wires = [
        Wire(str(min(one, other)), output, 10.0, str(max(one, other)), 15.0)
        for one, other, output in draw(st.lists(ends, max_size=25))
        if one != other
    ]
    return {str(index): size for index, size in enumerate(sizes)}, wires


@given(graphs())
def test_no_box_stands_on_another_and_every_wire_runs_to_the_right(graph):
    sizes, wires = graph
    layout = laid_out(sizes, wires)
    placed = [(x, y, x + sizes[name][0], y + sizes[name][1]) for name, (x, y) in layout.places.items()]
    assert not any(overlap(one, other) for one, other in itertools.combinations(placed, 2))
    assert all(box[0] >= 0 and box[1] >= 0 and box[2] <= layout.width and box[3] <= layout.height for box in placed)
    for wire, route in zip(wires, layout.routes, strict=True):
        assert route[0] == (layout.places[wire.source][0] + sizes[wire.source][0], layout.places[wire.source][1] + 10)
        assert route[-1] == (layout.places[wire.target][0], layout.places[wire.target][1] + 15)
        assert [x for x, _ in route] == sorted(x for x, _ in route)
    assert laid_out(sizes, wires) == layout


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.floats(1, 100)), min_size=1, max_size=20))
def test_what_is_put_apart_keeps_its_order_and_distances(members):
    wanted, steps = zip(*members, strict=True)
    found = apart(wanted, steps)
    for (one, other), step in zip(itertools.pairwise(found), steps, strict=False):
        assert other - one >= step - 1e-6
    assert apart(found, steps) == pytest.approx(found)  # nothing is moved that may stay


def test_links_in_a_circle_are_no_picture():
    wires = [Wire("a", 0, 1, "b", 1), Wire("b", 0, 1, "a", 1)]
    with pytest.raises(ValueError, match="circle"):
        laid_out({"a": (9, 9), "b": (9, 9)}, wires)


def test_wires_that_need_not_cross_do_not():
    wires = [Wire("a", 0, 5, "y", 5), Wire("b", 0, 5, "x", 5)]
    layout = laid_out(dict.fromkeys("abxy", (50, 20)), wires)
    assert (layout.places["a"][1] < layout.places["b"][1]) == (layout.places["y"][1] < layout.places["x"][1])


@pytest.mark.parametrize("name", NAMES)
def test_the_boxes_of_the_library_stand_apart_and_hold_their_texts(name):
    text = graph_picture(CATALOG[name], NODES)
    found = boxes(text)
    assert len(found) == len(CATALOG[name].template)
    assert not any(overlap(one, other) for one, other in itertools.combinations(found, 2))
    for each in elements(text, "text"):
        told = each.text or each[0].tail
        is_name = each.get("class") == "name"
        wide = text_width(told, 12 if is_name else 11, bold=is_name)
        x, y = float(each.get("x")), float(each.get("y"))
        left = {"end": x - wide, "middle": x - wide / 2}.get(each.get("text-anchor"), x)
        assert any(box[0] <= left and left + wide <= box[2] + 0.5 and box[1] < y < box[3] for box in found), told


def test_no_text_is_wider_than_is_reckoned():
    """By the wide font that Pillow has with it; others are narrower."""
    font = ImageFont.load_default(100)
    texts = {told for name in NAMES for told in words(graph_picture(CATALOG[name], NODES))}
    assert not [told for told in texts if font.getlength(told) > text_width(told, 100)]


@pytest.fixture
def everything(tmp_path):
    return make_workflow(tmp_path, everything_map(), everything_graph())


def test_parameters_conditions_and_outputs_are_named(everything):
    told = words(graph_picture(everything, NODES))
    assert {"prompt", "seed", "loras[].name", "control_image", "once for each of loras"} <= {*told}
    assert "only if control_image is not none" in told
    assert {"KSampler (3)", "LoraLoader (10)", "MODEL", "latent_image"} <= {*told}
    output = [each for each in elements(graph_picture(everything, NODES), "rect") if each.get("class") == "out"]
    assert len(output) == len(everything.outputs)


def test_it_is_told_in_words_and_the_same_every_time(everything):
    text = graph_picture(everything, NODES)
    root = ET.fromstring(text)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert title.text == f"{everything.name}: {everything.title}"
    assert "KSampler (3)" in description.text
    assert "prefers-color-scheme:dark" in root.find(f"{SVG}style").text
    assert graph_picture(everything, NODES) == text


def test_a_link_that_only_some_payloads_have_is_there_and_dashed(tmp_path):
    graph = sampler_graph()
    graph["30"] = {**graph["3"], "inputs": {**graph["3"]["inputs"], "denoise": 0.5}}
    document = {
        "parameters": {"again": {"type": "boolean", "default": False}},
        "computed": {
            "$['8'].inputs.samples": {"expression": "['30', 0] if again else ['3', 0]", "replaces_link": True}
        },
        "outputs": {"image": {"node": "9"}},
    }
    text = graph_picture(make_workflow(tmp_path, document, graph), NODES)
    assert [each.get("class") for each in elements(text, "path")].count("wire some") == 1


@given(st.text(max_size=20))
@example("\x0b\ufffe\uffff\ud800")  # what no XML may hold
@settings(max_examples=30)
def test_whatever_a_title_holds_the_picture_is_xml(title):
    graph = {"1": {"class_type": "Odd", "inputs": {}, "_meta": {"title": f"odd {title}"}}}
    parameter_map = parse_map({"parameters": {}, "title": f"odd {title}", "outputs": {"file": {"node": "1"}}}, label="")
    root = ET.fromstring(graph_picture(Workflow("odd", graph, parameter_map, NODES, label=""), NODES).encode())
    assert {each.tag.removeprefix(SVG) for each in root.iter()} == {"svg", "title", "desc", "style", "rect", "text"}


def test_a_graph_of_unknown_classes_with_wild_names_is_drawn(tmp_path):
    name = "<b>&\"'\x07" + "long " * 60
    graph = {
        "a<1>": {"class_type": name, "inputs": {}, "_meta": {"title": name}},
        "2": {"class_type": "SomeSaver", "inputs": {name: ["a<1>", 3]}},
    }
    workflow = make_workflow(tmp_path, {"parameters": {}, "outputs": {"file": {"node": "2", "kind": "file"}}}, graph)
    text = graph_picture(workflow, NODES)
    assert "output 4" in words(text)
    assert max(box[2] - box[0] for box in boxes(text)) < 320


def test_a_picture_of_ones_own_workflow_is_made_and_nothing_else_overwritten(tmp_path):
    folder = write_workflow(tmp_path, "everything", everything_graph(), everything_map())
    picture, mine = tmp_path / "graph.svg", tmp_path / "mine.svg"
    mine.write_text("<svg/>")

    def draw(file, **more):
        return run_engine(tmp_path, "describe", "everything", "--picture", file, WORKFLOWS_PATH=str(folder), **more)

    assert draw(picture).stdout == f"{picture}\n"
    first = picture.read_text()
    assert "control_image" in words(first)
    assert draw(picture).stdout == f"{picture}\n"  # again, over its own
    assert "name another file" in draw(mine, status=2).stderr
    assert mine.read_text() == "<svg/>"
    assert "can't be written" in draw(tmp_path / "no" / "folder.svg", status=1).stderr


def test_the_command_says_where_the_picture_is_to_machines(tmp_path):
    done = run_engine(tmp_path, "describe", "txt2img", "--picture", "a.svg", "--json", WORKFLOWS_PATH=str(ROOT))
    assert json.loads(done.stdout) == {"picture": "a.svg"}
    assert re.match(r"<svg ", (tmp_path / "a.svg").read_text())


def test_a_picture_is_no_png(tmp_path):
    done = run_engine(tmp_path, "describe", "txt2img", "--picture", "a.png", status=2, WORKFLOWS_PATH=str(ROOT))
    assert "a.svg" in done.stderr
    assert not (tmp_path / "a.png").exists()
