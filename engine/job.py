"""A job: what one request asks to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.graph import Graph
from engine.order import next_order
from engine.storage import DeliveryRequest
from engine.timings import Timings


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Attributes:
        id: names its files; a caller's or the platform's.
        workflow: the name; not looked at where there is a graph.
        payload: as it was sent.
        prompt_id: ComfyUI's id for it, a UUID.
        timeout_seconds: what the caller allows, below what the workflow and the operator do.
        allow_files: media values may name files of this machine, and results go into a folder of it; for the command
            line alone.
        graph: a whole graph instead of a workflow, checked.
        sent: the files that came with the request: name to a media value.
        delivery: how the caller wants the results.
        s3_config: the caller's own bucket, as RunPod's `s3Config` says it.
        previews: whether what preview nodes made is a result too, and progress has pictures of samplers.
        comfy_org_api_key: the caller's own, for nodes that call comfy.org.
        timings: what its steps took, filled in as it runs; also there when it fails.
        discard: its results go nowhere.
        retries: how often its caller allows a result that quality gates refuse to be made anew, below what the map says
            and with other seeds than the payload's; None for what the map says, and the payload's own seeds.
        notes: what its caller is warned of beforehand.
        order: its place among the jobs of this process; of several that are ready, the lowest goes to ComfyUI first.
    """

    id: str
    workflow: str
    payload: Any
    prompt_id: str
    timeout_seconds: float | None = None
    allow_files: bool = False
    graph: Graph | None = None
    sent: Mapping[str, Any] = field(default_factory=dict, repr=False)
    delivery: DeliveryRequest | None = None
    s3_config: Mapping[str, Any] | None = field(default=None, repr=False)
    previews: bool = False
    comfy_org_api_key: str | None = field(default=None, repr=False)
    timings: Timings = field(default_factory=Timings, repr=False)
    discard: bool = False
    retries: int | None = None
    notes: tuple[str, ...] = ()
    order: int = field(default_factory=next_order)
