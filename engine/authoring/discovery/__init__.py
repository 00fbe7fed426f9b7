"""Throw-away: stands for the drafting of maps until its branch has landed."""

from __future__ import annotations

from engine.authoring.draft import AppMode, Draft
from engine.graph import Graph
from engine.nodes import NodeCatalogue


def draft_map(graph: Graph, nodes: NodeCatalogue, *, title: str = "", app_mode: AppMode | None = None) -> Draft:
    """Seeds, texts and outputs alone."""
    del app_mode
    parameters = {}
    for node_id, node in graph.items():
        if isinstance(node["inputs"].get("seed"), int):
            parameters["seed"] = {"type": "seed", "bind": f"$['{node_id}'].inputs.seed"}
        if node["class_type"] == "CLIPTextEncode" and isinstance(node["inputs"]["text"], str):
            key = "negative_prompt" if "prompt" in parameters else "prompt"
            parameters[key] = {"type": "string", "required": True} if key == "prompt" else {"type": "string"}
            parameters[key]["bind"] = f"$['{node_id}'].inputs.text"
    outputs = {
        "image": {"node": key, "kind": "image"} for key, node in graph.items() if nodes[node["class_type"]].is_output
    }
    document = {"title": title, "version": "1.0", "parameters": parameters, "outputs": outputs, "expects": {}}
    return Draft(document)
