"""Drafted maps, loaded and rendered with the template's own values."""

import copy

from support.workflows import sampler_graph

from engine.authoring.discovery import draft_map
from engine.bindings import resolve
from engine.graph import needed_by
from engine.map_file import parse_map
from engine.nodes import load_catalogue
from engine.workflow import Workflow

FREE = ("seed", "image", "mask", "video", "audio", "file")
"""Types whose values a render gives itself, or a caller must."""


def node(class_type, **inputs):
    """A node of a graph in API format."""
    return {"class_type": class_type, "inputs": inputs}


def changed(**nodes):
    """The small text-to-image graph with nodes added (`n20=node(…)`), or inputs replaced (`n3={"steps": 4}`)."""
    graph = sampler_graph()
    for key, each in nodes.items():
        node_id = key.removeprefix("n")
        if "class_type" in each:
            graph[node_id] = copy.deepcopy(each)
        else:
            graph[node_id]["inputs"] |= each
    return graph


def drafted(graph, **options):
    """A draft, by the bundled node catalogue."""
    return draft_map(graph, load_catalogue(), **options)


def loaded(draft, graph):
    """The workflow that a draft makes of its graph.

    Raises:
        InvalidMap: it does not load.
    """
    return Workflow("drafted", graph, parse_map(draft.document, label="drafted"), load_catalogue())


def places(draft, graph, types=None):
    """The places of the parameters, or of those of some types, each with its parameter's name."""
    found = {}
    for name, parameter in draft.document["parameters"].items():
        paths = parameter.get("bind", [])
        for path in [paths] if isinstance(paths, str) else paths:
            if types is None or parameter["type"] in types:
                found |= dict.fromkeys(resolve(path, graph, nodes=load_catalogue()), name)
    return found


def rendered_back(draft, graph):
    """What a draft renders with the template's own values, and what the template's outputs need.

    Seeds and files are taken out of both.
    """
    payload = {}
    for place, name in places(draft, graph).items():
        parameter = draft.document["parameters"][name]
        if parameter["type"] in FREE[1:]:
            payload[name] = "https://example.com/file"
        elif parameter.get("required"):
            payload[name] = graph[place.node_id]["inputs"][place.input_name]
    workflow = loaded(draft, graph)
    free = places(draft, graph, FREE)
    ends = [output.node_id for output in workflow.outputs]
    needed = {node_id: graph[node_id] for node_id in needed_by(graph, ends)}
    return _without(workflow.render(workflow.validate(payload)), free), _without(needed, free)


def _without(graph, free):
    taken = {(place.node_id, place.input_name) for place in free}
    return {
        node_id: (
            node["class_type"],
            {name: value for name, value in node.get("inputs", {}).items() if (node_id, name) not in taken},
        )
        for node_id, node in graph.items()
    }
