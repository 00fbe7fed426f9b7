"""What is behind each change that a payload makes: `engine render --diff`."""

import copy

import pytest
from support.operator_workflows import everything_graph, everything_map, loras
from support.workflows import make_workflow

from engine.authoring.explanations import Explanation
from engine.nodes import load_catalogue


@pytest.fixture
def workflow(tmp_path):
    """Everything, with a second LoRA (80) that the sampler uses instead where `other` says so."""
    template, document = everything_graph(), everything_map()
    template["80"] = copy.deepcopy(template["10"])
    document["parameters"]["other"] = {"type": "boolean", "default": False}
    document["computed"]["$['3'].inputs.model"] = {
        "expression": "['80', 0] if other else ['10', 0]",
        "replaces_link": True,
    }
    document["repeat"]["80"] = {"over": "loras", "set": {"lora_name": "item.name"}}
    return make_workflow(tmp_path, document, template)


def lines(workflow, **payload):
    payload = {"prompt": "x", "seed": 1, **payload}
    values = workflow.validate(payload)
    graph = workflow.render(values)
    return list(Explanation(workflow, load_catalogue(), payload=payload, values=values, graph=graph).lines())


def test_a_repeated_node_that_nothing_needs_is_not_said_to_have_no_items(workflow):
    assert "LoraLoader (80)  dropped: no output needs it" in lines(workflow, loras=loras(2))
    assert "LoraLoader (10)  dropped: loras, not sent; repeat.10: the list is empty" in lines(workflow)


def test_a_link_is_laid_to_what_changed_it_last(workflow):
    repeated = "  model: LoraLoader (10)[0] -> LoraLoader (10#2)[0]   (loras; repeat.10)"
    computed = (
        "  model: LoraLoader (10)[0] -> LoraLoader (80#2)[0]   (other; computed: ['80', 0] if other else ['10', 0])"
    )
    assert repeated in lines(workflow, loras=loras(2))
    assert computed in lines(workflow, loras=loras(2), other=True)
    bypassed = "  model: LoraLoader (10)[0] -> CheckpointLoaderSimple (4)[0]   (loras, not sent; repeat.10)"
    assert bypassed in lines(workflow)


def test_every_change_has_a_cause(workflow):
    for payload in ({}, {"loras": loras(3), "other": True, "upscale": 2}, {"loras": loras(1)}):
        assert not [line for line in lines(workflow, **payload) if line.endswith(("()", "dropped: "))]
