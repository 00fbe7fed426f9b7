"""From what a caller sent as a graph to a graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.documents import parse_json
from engine.errors import InvalidMap, InvalidRequest, Problem
from engine.graph import Graph, parse_graph
from engine.wording import kind_of, listed

MOST_NODES = 5000
"""Far more than anyone has drawn; what is longer was made to be a burden."""

_EXPORT = "in ComfyUI choose Workflow > Export (API) and send that file's content"

# What stands beside the graph in the body of ComfyUI's /prompt and changes nothing of what the graph makes
# (ComfyUI 0.8.0, server.py). `partial_execution_targets` is not among them: it would.
_BESIDE_PROMPT = frozenset({"client_id", "prompt_id", "extra_data", "number", "front"})


def parse_raw(document: Any, *, convert: Callable[[dict[str, Any]], Graph] | None = None) -> Graph:
    """The graph in what a caller sent.

    A body of ComfyUI's `/prompt` (`{"prompt": {graph}, "client_id": …}`) and `{"workflow": {graph}}` are taken for the
    graph in them, where nothing else stands beside it that would be lost.

    Args:
        document: the graph, or its JSON as a text.
        convert: makes a graph of an export in UI format; left out, those are refused.

    Returns:
        A copy, in which every node has `inputs`.

    Raises:
        InvalidRequest: it is no graph, or can't be converted; with every problem, each under `workflow`.
    """
    graph = _unwrapped(_plain_json(document))
    if isinstance(graph.get("nodes"), list):
        # Without its links too: newer exports of subgraphs keep them elsewhere.
        if convert is None:
            raise _refused("this is a UI-format export, which ComfyUI's editor alone can read")
        graph = convert(graph)
    if len(graph) > MOST_NODES:
        raise _refused(f"it has {len(graph)} nodes, and at most {MOST_NODES} are taken")
    try:
        parse_graph(graph, label="workflow")
    except InvalidMap as error:
        problems = [Problem(_where(each.where), each.message) for each in error.problems]
        raise InvalidRequest(problems=problems, hint=_EXPORT) from None
    return {node_id: {**node, "inputs": node.get("inputs", {})} for node_id, node in graph.items()}


def _plain_json(document: Any) -> Any:
    """The document as strict JSON gives it, whether it came as a text or was parsed by the platform."""
    if not isinstance(document, str | dict):
        raise _refused(f"must be a graph, as an object or as its JSON in a string, not {kind_of(document)}")
    if isinstance(document, str) and not document.strip():
        raise _refused("is empty")
    try:
        text = document if isinstance(document, str) else json.dumps(document, allow_nan=False)
    except RecursionError:
        raise _refused("nested too deeply") from None
    except (ValueError, TypeError):
        raise _refused("holds NaN, Infinity or something else that JSON has no word for") from None
    try:
        # The mark that some editors put before a text they save is no part of it.
        return parse_json(text.removeprefix("\ufeff"), label="workflow")
    except InvalidMap as error:
        raise _refused(*(each.message for each in error.problems)) from None


def _unwrapped(document: Any) -> dict[str, Any]:
    while True:
        if not isinstance(document, dict):
            raise _refused(f"a graph is an object of nodes, not {kind_of(document)}")
        key = next((key for key in ("prompt", "workflow") if _is_wrapped(document, key)), None)
        if key is None:
            return document
        beside = document.keys() - {key} - (_BESIDE_PROMPT if key == "prompt" else frozenset())
        if beside:
            raise _refused(
                f'the graph stands under "{key}" here, and {listed(sorted(beside))} beside it; send the graph alone as '
                "`workflow`, and what belongs to the request next to `workflow`"
            )
        document = document[key]


def _is_wrapped(document: dict[str, Any], key: str) -> bool:
    """Whether the graph is below a key, and not one of whose nodes has that id."""
    inner = document.get(key)
    return (
        isinstance(inner, dict)
        and "class_type" not in inner
        and not any(isinstance(value, dict) and "class_type" in value for value in document.values())
    )


def _where(where: str) -> str:
    return f"workflow.{where}" if where else "workflow"


def _refused(*messages: str) -> InvalidRequest:
    return InvalidRequest(problems=[Problem("workflow", message) for message in messages], hint=_EXPORT)
