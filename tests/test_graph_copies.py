"""Copies of a template's nodes: they are what the nodes are, and share nothing with them that could change."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import CONTAINERS
from engine.graph_copies import NodeCopies

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=8,
)
NODES = st.fixed_dictionaries(
    {"class_type": st.just("Some"), "inputs": st.dictionaries(st.text(max_size=3), VALUES, max_size=4)},
    optional={"_meta": st.dictionaries(st.text(max_size=3), VALUES, max_size=3), "more": VALUES},
)


def containers_in(value):
    """Every list and dictionary in a value, the value itself included."""
    if type(value) in CONTAINERS:
        yield value
        for below in value.values() if type(value) is dict else value:
            yield from containers_in(below)


@given(st.dictionaries(st.text(max_size=3), NODES, max_size=4))
@settings(max_examples=40)
def test_copies_equal_the_nodes_and_share_no_container(graph):
    before = copy.deepcopy(graph)
    copies = NodeCopies(graph, set(graph))
    first, second = copies.made(), copies.made()
    assert first == second == before
    theirs = {id(each) for each in containers_in(graph)}
    assert theirs.isdisjoint(id(each) for each in containers_in(first))
    assert {id(each) for each in containers_in(first)}.isdisjoint(id(each) for each in containers_in(second))


def test_only_the_nodes_that_are_asked_for_in_the_order_of_the_graph_each_with_inputs():
    graph = {"b": {"class_type": "B"}, "a": {"class_type": "A", "inputs": {}}, "c": {"class_type": "C", "inputs": {}}}
    made = NodeCopies(graph, {"a", "b"}).made()
    assert list(made) == ["b", "a"]
    assert made["b"] == {"class_type": "B", "inputs": {}}
    assert "inputs" not in graph["b"]


@pytest.mark.parametrize("mark", [{"copy_of": "9"}, {"copy_of": "9", "title": "x"}])
def test_the_mark_of_a_copy_is_left_out(mark):
    graph = {"1": {"class_type": "A", "inputs": {}, "_meta": mark}}
    assert "copy_of" not in NodeCopies(graph, {"1"}).made()["1"]["_meta"]
