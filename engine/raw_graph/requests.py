"""Which requests bring a whole graph, and where in them it is."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from engine.errors import InvalidRequest, Problem

CUSTOM = "custom"
"""The workflow that a request names when its payload is a whole graph."""


def brings_graph(request: Mapping[str, Any], names: Container[str] = ()) -> bool:
    """Whether a request brings a whole graph instead of the name of a workflow.

    Args:
        request: its keys; those that are None count as absent.
        names: the named workflows: one that is called "custom" is run like any other.
    """
    workflow = request.get("workflow")
    if isinstance(workflow, str) and not workflow.lstrip("\ufeff \t\r\n").startswith("{"):
        return workflow == CUSTOM and CUSTOM not in names
    return workflow is not None or request.get("workflow_url") is not None


def graph_document(request: Mapping[str, Any], *, allowed: bool) -> Any:
    """What a request that brings a graph holds of it, to be given to `parse_raw`.

    Args:
        request: one of which `brings_graph` says so.
        allowed: the operator lets requests do that.

    Returns:
        The graph or its JSON; None where it is to be fetched from `workflow_url`.

    Raises:
        InvalidRequest: it is not allowed, or the request brings two things to run.
    """
    if not allowed:
        raise InvalidRequest(
            problems=[Problem("workflow", "whole graphs are not allowed on this worker, only workflows by name")],
            hint='{"action": "list"} names the workflows; to take graphs, the operator sets ALLOW_RAW_WORKFLOWS=1',
        )
    workflow, payload = request.get("workflow"), request.get("payload")
    if workflow is not None and request.get("workflow_url") is not None:
        raise InvalidRequest(problems=[Problem("workflow_url", "there is a `workflow` as well; send one of the two")])
    if workflow == CUSTOM:
        return payload
    if payload is not None and payload != {}:
        raise InvalidRequest(
            problems=[Problem("payload", "a whole graph has no parameters, so it takes no payload")],
            hint="write the values into the graph, or name a workflow",
        )
    return workflow
