"""What differs between two graphs."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from engine.authoring.differences import ABSENT, InputChange, differences, lines_of

GRAPH = {
    "1": {"class_type": "Load", "inputs": {"file": "a.png"}},
    "2": {"class_type": "Scale", "inputs": {"image": ["1", 0], "by": 2}, "_meta": {"title": "Twice as large"}},
    "3": {"class_type": "Save", "inputs": {"images": ["2", 0]}},
}


def changed(**nodes):
    graph = copy.deepcopy(GRAPH)
    for node_id, inputs in nodes.items():
        graph[node_id[1:]]["inputs"] |= inputs
    return graph


def test_values_and_links_that_differ():
    after = changed(n2={"by": 3}, n3={"images": ["1", 0]})
    first, second = differences(GRAPH, after)
    assert first.inputs == (InputChange("by", 2, 3),)
    assert list(lines_of(first, GRAPH, after)) == ['Scale (2) "Twice as large"', "  by: 2 -> 3"]
    assert list(lines_of(second, GRAPH, after)) == ["Save (3)", "  images: Scale (2)[0] -> Load (1)[0]"]


def test_inputs_that_came_and_went():
    after = changed(n1={"new": None})
    del after["2"]["inputs"]["by"]
    first, second = differences(GRAPH, after)
    assert first.inputs == (InputChange("new", ABSENT, None),)
    assert second.inputs == (InputChange("by", 2, ABSENT),)
    assert first.as_dict()["inputs"] == [{"input": "new", "after": None}]
    assert second.as_dict()["inputs"] == [{"input": "by", "before": 2}]
    assert "  by: 2 -> (none)" in lines_of(second, GRAPH, after)


def test_nodes_that_came_and_went():
    after = copy.deepcopy(GRAPH)
    del after["1"]
    after["2#2"] = {"class_type": "Scale", "inputs": {"image": ["2", 0], "by": 2}}
    after["7"] = {"class_type": "Note", "inputs": {}}
    found = differences(GRAPH, after, original_of=lambda node_id: node_id.partition("#")[0])
    assert [(each.node_id, each.kind, each.copy_of) for each in found] == [
        ("1", "dropped", ""),
        ("2#2", "added", "2"),
        ("7", "added", ""),
    ]
    assert found[1].inputs == (InputChange("image", ["1", 0], ["2", 0]),)


def test_another_class_under_the_same_id():
    after = copy.deepcopy(GRAPH)
    after["3"]["class_type"] = "Preview"
    (found,) = differences(GRAPH, after)
    assert list(lines_of(found, GRAPH, after)) == ["Preview (3)  was Save"]


def test_numbers_are_compared_as_json_does():
    assert not differences(GRAPH, changed(n2={"by": 2.0}))
    assert differences(changed(n2={"by": 1}), changed(n2={"by": True}))
    assert differences(changed(n2={"by": {"__value__": [1]}}), changed(n2={"by": {"__value__": [True]}}))


def test_titles_do_not_count():
    after = copy.deepcopy(GRAPH)
    after["2"]["_meta"]["title"] = "Larger"
    assert not differences(GRAPH, after)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
NODES = st.fixed_dictionaries(
    {"class_type": st.sampled_from("AB"), "inputs": st.dictionaries(st.sampled_from("xyz"), VALUES)}
)
GRAPHS = st.dictionaries(st.sampled_from("1234"), NODES)


@given(GRAPHS, GRAPHS)
def test_the_differences_lead_from_one_graph_to_the_other(before, after):
    rebuilt = copy.deepcopy(before)
    for change in differences(before, after):
        if change.kind == "dropped":
            del rebuilt[change.node_id]
            continue
        node = rebuilt.setdefault(change.node_id, {"inputs": {}})
        node["class_type"] = change.class_type
        for each in change.inputs:
            if each.after is ABSENT:
                del node["inputs"][each.name]
            else:
                node["inputs"][each.name] = each.after
    assert rebuilt == after
    assert not differences(rebuilt, after)


@given(GRAPHS)
def test_a_graph_does_not_differ_from_itself(graph):
    assert not differences(graph, copy.deepcopy(graph))


@given(GRAPHS, GRAPHS)
def test_every_difference_can_be_told(before, after):
    for change in differences(before, after):
        assert all(line.strip() for line in lines_of(change, before, after))
