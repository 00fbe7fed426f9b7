"""What a template lacks or has too much of, by the node catalogue. Pure.

None of it stops a workflow from loading: the ComfyUI that runs it may be of another version than the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.graph import Graph, as_link, label_of
from engine.nodes import InputSpec, NodeCatalogue
from engine.wording import did_you_mean, listed, shown


def template_warnings(graph: Graph, nodes: NodeCatalogue) -> Iterator[str]:
    """What a ComfyUI of the catalogue's version would refuse or does not know."""
    unknown = sorted({node["class_type"] for node in graph.values() if node["class_type"] not in nodes})
    if unknown:
        yield (
            f"the node catalogue (ComfyUI {nodes.version}) does not know {listed(unknown)}: "
            "types, ranges and choices there are not checked"
        )
    for node_id, node in graph.items():
        spec = nodes.get(node["class_type"])
        if spec is None:
            continue
        missing = [
            name
            for name, each in spec.inputs.items()
            if each.required and name not in node.get("inputs", {}) and name not in spec.autogrow
        ]
        if missing:
            yield f"{label_of(graph, node_id)} lacks {listed(missing)}, which ComfyUI {nodes.version} requires"
        for name, value in node.get("inputs", {}).items():
            each = spec.input(name)
            if each is None:
                yield (
                    f"{label_of(graph, node_id)} has an input {name}{did_you_mean(name, spec.inputs)} "
                    f"that ComfyUI {nodes.version} does not know and ignores"
                )
            elif _is_no_choice(value, each):
                yield f"{label_of(graph, node_id)}.{name}: {shown(value)} is no choice in ComfyUI {nodes.version}"


def _is_no_choice(value: Any, spec: InputSpec) -> bool:
    enforced = spec.type == "COMBO" and spec.choices is not None and not spec.from_files and not spec.multiselect
    return enforced and not as_link(value) and value not in (spec.choices or ())
