"""The names by which a job sets itself apart in the graph that is queued. Pure.

Pictures carry that graph, and a graph that is taken from one must not bring the names of a job that is long over.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from engine.graph import COPY_OF, Graph
from engine.names import plain_name

_PREFIX = "engine-"
JOB_FOLDER = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9_-]+_[0-9a-f]{8}")
"""A job's own folder in each of ComfyUI's."""

JOB_MARK = "engine_job"
"""The input that output nodes without a `filename_prefix` get, so that ComfyUI's cache holds nothing of them."""

_BELOW = re.compile(JOB_FOLDER.pattern + "/")


def job_folder(job_id: str) -> str:
    """A folder for one run of a job; another run of it gets another."""
    return f"{_PREFIX}{plain_name(job_id, otherwise='job')}_{secrets.token_hex(4)}"


def without_job_names(graph: Graph) -> Graph:
    """The graph as it was before a job made it its own; what is nobody's stays as it is."""
    return {node_id: _without(node) for node_id, node in graph.items()}


def _without(node: dict[str, Any]) -> dict[str, Any]:
    inputs = {name: _plain(value) for name, value in node.get("inputs", {}).items() if name != JOB_MARK}
    cleaned = {**node, "inputs": inputs} if "inputs" in node else dict(node)
    if isinstance(meta := node.get("_meta"), dict):
        cleaned["_meta"] = {key: value for key, value in meta.items() if key != COPY_OF}
    return cleaned


def _plain(value: Any) -> Any:
    return _BELOW.sub("", value, count=1) if isinstance(value, str) and _BELOW.match(value) else value
