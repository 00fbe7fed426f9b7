"""How a parameter map is written, and changed without touching the rest of its author's text."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.workflows import ROOT

from engine.authoring.editing import edited_text
from engine.authoring.naming import names_in, renamed
from engine.authoring.trimming import without
from engine.authoring.writing import WIDTH, map_text
from engine.documents import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=10,
)
KEYS = st.sampled_from(["parameters", "computed", "switches", "repeat", "outputs", "examples", "title"])
DOCUMENTS = st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=5)


@pytest.mark.parametrize("name", ["txt2img", "img2img", "resize"])
def test_a_map_is_written_as_the_shipped_ones_are(name):
    text = (ROOT / "schemas" / f"{name}.json").read_text()
    assert map_text(json.loads(text)) == text


@given(DOCUMENTS)
def test_what_is_written_is_read_as_the_same_map(document):
    text = map_text(document)
    read = parse_json(text, label="map")
    assert json.dumps(read) == json.dumps(document)  # with the order of the keys, and 1.0 apart from 1
    assert map_text(read) == text


def test_what_is_too_long_for_a_line_is_broken_where_people_would():
    samplers = [f"sampler_{number}" for number in range(60)]
    text = map_text({"parameters": {"short": {"type": "seed"}, "long": {"type": "string", "enum": samplers}}})
    lines = text.splitlines()
    assert '    "short": {"type": "seed"},' in lines
    assert all(len(line) <= WIDTH for line in lines)
    assert len(lines) < 20  # sixty names are no sixty lines


def loose(document):
    """The same document as somebody may have laid it out by hand."""
    return json.dumps(document, indent="\t", separators=(" ,", " :  ")).replace("\n", "\r\n")


@given(DOCUMENTS, DOCUMENTS)
def test_a_changed_text_holds_the_changed_document(before, after):
    for text in (loose(before), json.dumps(before), map_text(before)):
        changed, _ = edited_text(text, after)
        assert json.dumps(json.loads(changed)) == json.dumps(after)


@given(DOCUMENTS)
def test_a_text_whose_document_does_not_change_stays_as_it_is(document):
    text = f" {loose(document)}\r\n\r\n"
    assert edited_text(text, document) == (text, True)


@given(st.dictionaries(st.text(string.ascii_lowercase, min_size=1), st.integers(), min_size=2), st.data())
def test_only_the_lines_change_that_have_to(document, data):
    key = data.draw(st.sampled_from(sorted(document)))
    text = loose(document)
    changed, kept = edited_text(text, {**document, key: "another"})
    assert kept
    assert sum(one != other for one, other in zip(text.splitlines(), changed.splitlines(), strict=True)) == 1


def test_entries_are_renamed_added_and_taken_out_in_their_own_layout():
    text = '{\n    "expects" : {"3": "KSampler", "6": "CLIPTextEncode", "9": "SaveImage"},\n    "title": "Mine"\n}\n'
    made = {"expects": {"13": "KSampler", "9": "SaveImage", "10": "LoadImage"}, "title": "Mine"}
    assert edited_text(text, made) == (
        '{\n    "expects" : {"13": "KSampler", "9": "SaveImage", "10": "LoadImage"},\n    "title": "Mine"\n}\n',
        True,
    )


@pytest.mark.parametrize(
    ("expression", "names", "with_width"),
    [
        ("size * 2", {"size"}, "width * 2"),
        ("'size' ~ size", {"size"}, "'size' ~ width"),
        ("item.size", {"item"}, "item.size"),
        ("resize + size|size", {"resize", "size"}, "resize + width|size"),
        ("a {{ size }} by size", {"size"}, "a {{ width }} by size"),
        ("{'size': size}", {"size"}, "{'size': width}"),
        ("  size ", {"size"}, "  width "),
        ("size ** (", {"size"}, "width ** ("),
        ("", set(), ""),
    ],
)
def test_a_parameter_is_renamed_where_it_is_one(expression, names, with_width):
    assert names_in(expression) >= names
    assert "size" not in names_in(with_width)
    assert renamed(expression, "size", "width") == with_width


def test_with_a_parameter_goes_what_hangs_on_it():
    document = {
        "parameters": {
            "width": {"type": "integer", "bind": "$['5'].inputs.width"},
            "ratio": {"type": "number", "default": 1},
            "steps": {"type": "integer", "bind": "$['3'].inputs.steps"},
        },
        "computed": {"$['5'].inputs.height": "width * ratio"},
        "rules": [{"that": "steps < 40", "message": "few"}, {"that": "width < 40", "message": "narrow"}],
        "examples": [{"title": "One", "payload": {"width": 8, "steps": 2}}],
    }
    made, lost = without(document, ["width"])
    assert made == {
        "parameters": {"steps": {"type": "integer", "bind": "$['3'].inputs.steps"}},
        "computed": {},
        "rules": [{"that": "steps < 40", "message": "few"}],
        "examples": [{"title": "One", "payload": {"steps": 2}}],
    }
    assert [each.where for each in lost] == [
        "computed.$['5'].inputs.height",
        "rules[1]",
        "examples[0].payload.width",
        "parameters.ratio",
    ]
