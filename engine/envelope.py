"""The reply to a request: what a RunPod job gives back."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cancellation import CancellationToken
from engine.comfy_contract import OnProgress
from engine.dialects import delivery_of, dialect_of, sent_files, shaped
from engine.errors import Cancelled, ComfyUnavailable, EngineError, ResultTooLarge
from engine.graph import Graph
from engine.jobs import Job, Runner
from engine.raw_graph import CUSTOM, brings_graph, graph_document, parse_raw
from engine.request import Request, parse_request
from engine.storage import DeliveryRequest

log = logging.getLogger(__name__)

_LARGEST_GRAPH_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """What a request is answered with.

    Attributes:
        runner: runs it.
        job_id: names it in the log and in file names.
        cancel: asks it to stop.
        on_progress: is told how far it is, unless the request declines.
        allow_files: media values may name files of this machine.
    """

    runner: Runner
    job_id: str
    cancel: CancellationToken | None = None
    on_progress: OnProgress | None = None
    allow_files: bool = False


def answer(
    document: Any,
    runner: Runner,
    *,
    job_id: str,
    cancel: CancellationToken | None = None,
    on_progress: OnProgress | None = None,
    allow_files: bool = False,
    s3_config: Any = None,
) -> dict[str, Any]:
    """Do what a request says.

    Never raises, but for a cancellation: what goes wrong becomes a reply with `error` and `failure`; internals go to
    the log with the job's id.

    Args:
        document: a job's input.
        runner: runs it.
        job_id: names it in the log and in file names.
        cancel: asks it to stop.
        on_progress: is told how far it is, unless the request declines.
        allow_files: media values may name files of this machine.
        s3_config: what stood beside the input in the job.

    Returns:
        The reply, in JSON's types, no longer than the platform takes.

    Raises:
        Cancelled: it was asked to stop.
    """
    try:
        request = parse_request(document, s3_config=s3_config)
        context = Context(runner, job_id, cancel, on_progress, allow_files)
        return fitting(_ACTIONS[request.action](request, context), runner.settings.response_limit_bytes)
    except Cancelled:
        raise
    except EngineError as error:
        log.warning("job %s failed: %s: %s%s", job_id, error.code, error, f"\n{error.detail}" if error.detail else "")
        return failure_reply(error)
    except Exception:  # the outermost edge: nothing but this keeps a traceback from the caller
        log.exception("job %s failed unexpectedly", job_id)
        return failure_reply(EngineError(hint=f"ask the operator, who finds the cause in the log under job {job_id}"))


def fitting(reply: dict[str, Any], limit_bytes: int) -> dict[str, Any]:
    """A reply that the platform takes: it loses longer ones while the job shows COMPLETED.

    Args:
        reply: the reply; anything that is not JSON fails here, since the platform would never post it.
        limit_bytes: the most that it may take as JSON.

    Returns:
        The reply; without the `values`, which the caller sent, or the thumbnails, where that makes it fit.

    Raises:
        ResultTooLarge: it does not fit.
    """
    size = _json_bytes(reply)
    if size <= limit_bytes:
        return reply
    for keys, said in _LEFT_OUT:
        shorter: dict[str, Any] = _without(reply, keys)
        shorter["warnings"] = [*reply.get("warnings", ()), f"the reply was too long: its {said} are left out"]
        if _json_bytes(shorter) <= limit_bytes:
            return shorter
    inline = any("base64" in each for each in reply.get("outputs", ()))
    raise ResultTooLarge(
        f"the reply takes {size} bytes, and at most {limit_bytes} arrive",
        hint="configure a bucket for the results (S3_BUCKET or GCS_BUCKET), or ask for fewer or smaller ones"
        if inline
        else "ask for fewer results at once",
    )


_LEFT_OUT = (
    (("values",), "values"),
    (("thumbnail",), "thumbnails"),
    (("values", "thumbnail"), "values and thumbnails"),
)
"""What a reply that is too long goes without, first the least missed: keys, and the word for them."""


def _without(value: Any, keys: Sequence[str]) -> Any:
    """A reply without some of its keys, wherever they stand; `values` stay, empty."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in keys or key == "values"}
        return {key: {} if key == "values" and key in keys else _without(each, keys) for key, each in kept.items()}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value


def _json_bytes(reply: Any) -> int:
    return len(json.dumps(reply, allow_nan=False))  # ASCII: a character is a byte


def failure_reply(error: EngineError) -> dict[str, Any]:
    """A failure as callers get it: `error` says enough alone, `failure` is the same, structured."""
    text = f"{error.code}: {error.message}"
    if error.hint:
        text += f". {error.hint[0].upper()}{error.hint[1:]}."
    return {"error": text, "failure": error.failure()}


def list_workflows(runner: Runner) -> dict[str, Any]:
    """Every workflow: name, title, and whether it works, with what is wrong where it doesn't."""
    return {"workflows": [entry.as_dict() for entry in runner.catalog.entries()]}


def health(runner: Runner) -> dict[str, Any]:
    """Whether jobs can run: the ComfyUI's version, how many workflows load."""
    entries = list(runner.catalog.entries())
    broken = sum(bool(each.error) for each in entries)
    reply: dict[str, Any] = {
        "status": "ok",
        "engine": importlib.metadata.version("comfyui-workflow-engine"),
        "workflows": {"ready": len(entries) - broken, "broken": broken},
    }
    try:
        reply["comfyui"] = {"version": runner.live.get(refresh=True).version}
    except EngineError as error:
        reply |= {"status": "unavailable", "comfyui": {"error": f"{error.code}: {error.message}"}}
    return reply


def _run(request: Request, context: Context) -> dict[str, Any]:
    runner = context.runner
    keys = request.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)
    delivery = _delivery(request, keys, runner)
    graph = _graph(request, keys, context)
    job = Job(
        id=context.job_id,
        workflow=request.workflow if graph is None else CUSTOM,
        payload=request.payload,
        prompt_id=str(uuid.uuid4()),
        timeout_seconds=request.timeout_seconds,
        allow_files=context.allow_files,
        graph=graph,
        sent=sent_files(request.images, request.input_images),
        delivery=delivery,
        s3_config=request.s3_config,
        previews=request.previews,
        comfy_org_api_key=request.comfy_org_api_key,
    )
    on_progress = context.on_progress if request.progress else None
    result = runner.run(job, cancel=context.cancel, on_progress=on_progress).as_dict()
    dialect = dialect_of(keys, runner.settings.response_dialect, runner.catalog)
    return shaped(result, dialect, verbose=request.verbose)


def _delivery(request: Request, keys: dict[str, Any], runner: Runner) -> DeliveryRequest | None:
    """The request's wishes, those in other workers' words included; ours come first."""
    others = delivery_of(keys, gcs_bucket=runner.settings.gcs_bucket)
    if not others:
        return request.delivery
    ours = request.delivery.model_dump(exclude_none=True) if request.delivery else {}
    return DeliveryRequest.model_validate({**others, **ours})


def _graph(request: Request, keys: dict[str, Any], context: Context) -> Graph | None:
    """The whole graph of a request; None where it names a workflow.

    Raises:
        InvalidRequest: the operator does not allow graphs, or it is none.
        InputUnavailable: it is not at its URL.
    """
    runner = context.runner
    if not brings_graph(keys, runner.catalog):
        return None
    document = graph_document(keys, allowed=runner.settings.allow_raw_workflows)
    if document is None and request.workflow_url is not None:
        content = runner.media.fetch_document(
            request.workflow_url, where="workflow_url", max_bytes=_LARGEST_GRAPH_BYTES, cancel=context.cancel
        )
        document = content.decode("utf-8", errors="replace")
    return parse_raw(document)


def _describe(request: Request, context: Context) -> dict[str, Any]:
    workflow = context.runner.catalog[request.workflow]
    try:
        live = context.runner.live.get()
    except ComfyUnavailable:
        live = None  # then the lists of files stay open
    return workflow.describe(live)


def _render(request: Request, context: Context) -> dict[str, Any]:
    workflow = context.runner.catalog[request.workflow]
    values = workflow.validate(request.payload)
    return {
        "workflow": workflow.name,
        "graph": workflow.render(values, job_id=context.job_id),
        "values": workflow.without_media(values, {}),
    }


_ACTIONS: dict[str, Callable[[Request, Context], dict[str, Any]]] = {
    "run": _run,
    "list": lambda _, context: list_workflows(context.runner),
    "describe": _describe,
    "render": _render,
    "health": lambda _, context: health(context.runner),
}
