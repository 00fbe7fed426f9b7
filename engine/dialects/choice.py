"""Which dialect a request is answered in."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from engine.dialects.delivery import output_mode
from engine.raw_graph import CUSTOM, brings_graph


def dialect_of(request: Mapping[str, Any], settings_dialect: str | None, names: Container[str] = ()) -> str:
    """The dialect of the reply: the operator's, else that of the worker the request was written for.

    Args:
        request: its keys; those that are None count as absent.
        settings_dialect: what the operator set for every result.
        names: the named workflows, as for `brings_graph`.

    Returns:
        A key of `DIALECTS`. A request that names a workflow gets `engine`.
    """
    if settings_dialect is not None:
        return settings_dialect
    workflow = request.get("workflow")
    if workflow == CUSTOM or not brings_graph(request, names):
        return "engine"
    mode = output_mode(request)
    if isinstance(mode, str) and mode in {"gcs", "base64"}:
        return mode
    if request.get("input_images") is not None or request.get("workflow_url") is not None:
        return "results"
    # A graph as a text with `images` is of neither worker; the files' form says more than the graph's.
    return "results" if isinstance(workflow, str) and request.get("images") is None else "worker-comfyui"
