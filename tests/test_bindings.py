"""Paths of a map: those that name a place are read without a parser, to the same place that the parser finds."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext import parse
from jsonpath_ng.jsonpath import Fields

from engine.bindings import BindingInvalid, Place, resolve
from engine.nodes import load_catalogue

KEYS = st.sampled_from(
    ["6", "57:8", "text", "where", "wherenot", "where_", "a b", "a.b", "*", "'", '"', "é", "a-b", "\\"]
)
STEPS = st.builds(lambda key, form: form.format(key), KEYS, st.sampled_from([".{}", "['{}']", '["{}"]', "[{}]"]))


def places_of(path, graph):
    """Where jsonpath-ng's parser says that a path leads, of what are inputs of nodes."""
    try:
        matches = parse(path).find(graph)
    except Exception:  # noqa: BLE001 - the parser's errors are of many kinds
        return []
    inputs = [
        match for match in matches if isinstance(match.path, Fields) and str(match.full_path).count("inputs") == 1
    ]
    return [Place(match.context.context.path.fields[0], match.path.fields[0]) for match in inputs]


@given(STEPS, STEPS)
@example("['57:8']", ".text")
@example(".text", '["a.b"]')
@example("['*']", ".text")
@example(".where", ".text")
@settings(max_examples=50)
def test_a_path_leads_where_the_parser_says(node, name):
    path = f"${node}.inputs{name}"
    keys = ["6", "57:8", "text", "where", "wherenot", "where_", "a b", "a.b", "é", "a-b"]
    graph = {each: {"class_type": "Some", "inputs": dict.fromkeys(keys, 1)} for each in keys}
    found = places_of(path, graph)
    try:
        places = list(resolve(path, graph, nodes=load_catalogue()))
    except BindingInvalid:
        places = []
    assert places == (found if len(found) == 1 else [])


@pytest.mark.parametrize("path", ["$['*'].inputs.text", "$.where.inputs.text"])
def test_what_only_looks_like_a_name_is_none(path):
    graph = {each: {"class_type": "Some", "inputs": {"text": "x"}} for each in ("1", "2", "where")}
    with pytest.raises(BindingInvalid):
        resolve(path, graph, nodes=load_catalogue())
