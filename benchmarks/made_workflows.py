"""Workflows of any size for the benchmarks: what they are made of is known to the node catalogue."""

from engine.map_file import parse_map
from engine.nodes import load_catalogue
from engine.workflow import Workflow

TEXT = "a lighthouse at dusk, oil on canvas, the sea calm, gulls above the rocks, warm light in its windows"


def node(class_type, **inputs):
    return {"inputs": inputs, "class_type": class_type, "_meta": {"title": class_type}}


def long_graph(nodes, *, subgraphs=False):
    """A picture that goes through many nodes, each second with a text of its own; the last one saves it."""
    name = (lambda number: f"{number // 20}:{number}") if subgraphs else str
    graph = {name(0): node("LoadImage", image="start.png")}
    for number in range(1, nodes - 1):
        before = [name(number - 1), 0]
        graph[name(number)] = node(
            "ImageScaleBy", upscale_method="bilinear", scale_by=1.0 + number / nodes, image=before, note=TEXT
        )
    graph["save"] = node("SaveImage", filename_prefix="long", images=[name(nodes - 2), 0])
    return graph


def long_map(graph, parameters, **more):
    """A map of so many parameters, each bound to a node of its own, spread over the graph."""
    ids = [node_id for node_id, each in graph.items() if each["class_type"] == "ImageScaleBy"]
    step = max(1, len(ids) // parameters)
    bound = ids[::step][:parameters]
    return {
        "parameters": {
            f"scale_{number}": {
                "type": "number",
                "minimum": 0.01,
                "maximum": 8,
                "description": f"How much larger the picture is after step {number}.",
                "bind": f"$['{node_id}'].inputs.scale_by",
            }
            for number, node_id in enumerate(bound)
        },
        "outputs": {"image": {"node": "save", "kind": "image"}},
        **more,
    }


def loaded(graph, document, name="made"):
    return Workflow(name, graph, parse_map(document, label="map"), load_catalogue())
