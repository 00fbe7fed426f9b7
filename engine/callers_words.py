"""What ComfyUI has against a graph, in terms of what the caller can change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.comfyui.complaints import UNKNOWN_CLASS, unknown_class
from engine.errors import GraphRejected, NodeComplaint, OutOfMemory, Problem
from engine.node_packs import node_packs
from engine.nodes import NodeCatalogue
from engine.schema import IntegerParameter, NumberParameter
from engine.wording import listed, not_available
from engine.workflow import Workflow

_ASK_FOR_LESS = re.compile(
    r"(^|_)(width|height|size|resolution|megapixels|batch|frames?|length|duration|seconds|upscale|tiles?)(_|$)"
    r"|^(scale|scale_by|count|num_images|image_count)$"
)


def rejected(
    error: GraphRejected,
    graph: Mapping[str, Any],
    *,
    workflow: Workflow | None = None,
    nodes: NodeCatalogue | None = None,
    packs: Mapping[str, str] | None = None,
) -> GraphRejected:
    """The refusal of a graph, each complaint under the parameters that decide what it is about.

    Args:
        error: as ComfyUI said it.
        graph: what was sent to it.
        workflow: whose parameters to name; without one, the nodes are the caller's own.
        nodes: of the running ComfyUI, where they are known; they complete lists that ComfyUI left out.
        packs: node class to its node pack; left out, what the snapshots say.
    """
    if not error.complaints:
        return error
    complaints = [each for each in error.complaints if each.type != UNKNOWN_CLASS]
    unknown = _unknown(error.complaints, graph, nodes)
    packs = node_packs() if packs is None else packs
    problems = [Problem("", _with_pack(each, packs)) for each in unknown]
    blamed = 0
    for complaint in complaints:
        names = workflow.parameters_at(complaint.node_id, complaint.input_name or "") if workflow else ()
        message = _completed(complaint, nodes)
        if workflow and names and workflow.is_computed(complaint.node_id, complaint.input_name or ""):
            message += f"; it decides {complaint.where}" if len(names) == 1 else f"; they decide {complaint.where}"
        problems.append(Problem(", ".join(names) or complaint.where, message))
        blamed += bool(names)
    return GraphRejected(
        problems=problems,
        hint=_hint(error, workflow, unknown, blamed, len(complaints) - blamed),
        detail=error.detail,
        complaints=error.complaints,
        retryable=error.retryable,
    )


def out_of_memory(error: OutOfMemory, workflow: Workflow) -> OutOfMemory:
    """The same, with the parameters of the workflow by which less can be asked for."""
    names = [
        name
        for name, each in workflow.parameters.items()
        if isinstance(each, IntegerParameter | NumberParameter) and _ASK_FOR_LESS.search(name)
    ]
    if not names:
        return error
    hint = f"ask for less: lower {listed(names)}; or use a larger GPU"
    return OutOfMemory(error.message, hint=hint, detail=error.detail, retryable=error.retryable)


def _unknown(
    complaints: Iterable[NodeComplaint], graph: Mapping[str, Any], nodes: NodeCatalogue | None
) -> list[NodeComplaint]:
    """The nodes whose classes are not there: ComfyUI names the first alone."""
    found = [each for each in complaints if each.type == UNKNOWN_CLASS]
    if not found or nodes is None:
        return found
    named = {each.node_id for each in found}
    return found + [
        unknown_class(graph, node_id, node["class_type"])
        for node_id, node in graph.items()
        if node_id not in named and isinstance(node.get("class_type"), str) and node["class_type"] not in nodes
    ]


def _with_pack(complaint: NodeComplaint, packs: Mapping[str, str]) -> str:
    pack = packs.get(complaint.class_type)
    return complaint.message + (f"; it comes with {pack}" if pack else "")


def _completed(complaint: NodeComplaint, nodes: NodeCatalogue | None) -> str:
    if complaint.type != "value_not_in_list" or nodes is None or not isinstance(complaint.received, str):
        return complaint.message
    spec = nodes.input(complaint.class_type, complaint.input_name or "")
    if spec is None or spec.choices is None:
        return complaint.message
    return not_available(complaint.received, spec.choices, files=spec.from_files)


def _hint(
    error: GraphRejected, workflow: Workflow | None, unknown: list[NodeComplaint], blamed: int, others: int
) -> str | None:
    if unknown:
        needed = workflow.requires.node_packs if workflow else []
        packs = f"; the workflow needs the node packs {listed(needed)}" if needed else ""
        return f"install the node pack that has it, or a version of ComfyUI that does{packs}"
    if workflow is None:
        return error.hint
    if not blamed:
        return "tell the workflow's author: this ComfyUI does not take the graph, whatever the payload"
    return "change these values" + ("; the rest is for the workflow's author" if others else "")
