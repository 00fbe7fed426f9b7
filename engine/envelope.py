"""The request and the reply of a job: what a RunPod job's `input` holds and what it gives back."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import uuid
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, ComfyUnavailable, EngineError, InvalidRequest, Problem
from engine.jobs import Job, OnProgress, Runner, reported
from engine.map_file import join_path
from engine.wording import did_you_mean, kind_of, listed, shown

log = logging.getLogger(__name__)

Action = Literal["run", "list", "describe", "render", "health"]


class Request(BaseModel):
    """A request; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    action: Action = "run"
    workflow: str | None = None
    payload: Any = Field(default_factory=dict)
    timeout_seconds: float | None = Field(None, gt=0)
    progress: bool = True


def parse_request(document: Any) -> Request:
    """The request in a job's input.

    Raises:
        InvalidRequest: it is none; with every problem.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(f"the input must be an object (got {kind_of(document)})", hint=_EXAMPLE)
    try:
        request = Request.model_validate(document)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        raise InvalidRequest(problems=problems, hint=_EXAMPLE) from None
    if request.workflow is None and request.action in {"run", "describe", "render"}:
        raise InvalidRequest(problems=[Problem("workflow", "is missing: the name of one")], hint=_EXAMPLE)
    return request


_EXAMPLE = 'a request is {"workflow": "txt2img", "payload": {"prompt": "a lighthouse"}}; {"action": "list"} names all'


def answer(
    document: Any,
    runner: Runner,
    *,
    job_id: str,
    cancel: CancellationToken | None = None,
    on_progress: OnProgress | None = None,
    allow_files: bool = False,
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

    Returns:
        The reply, in JSON's types.

    Raises:
        Cancelled: it was asked to stop.
    """
    try:
        request = parse_request(document)
        reply = _ACTIONS[request.action](request, runner, job_id, cancel, on_progress, allow_files)
        json.dumps(reply, allow_nan=False)  # the platform never posts what is not JSON, and the job would hang
    except Cancelled:
        raise
    except EngineError as error:
        log.warning("job %s failed: %s: %s%s", job_id, error.code, error, f"\n{error.detail}" if error.detail else "")
        return failure_reply(error)
    except Exception:  # the outermost edge: nothing but this keeps a traceback from the caller
        log.exception("job %s failed unexpectedly", job_id)
        return failure_reply(EngineError(hint=f"ask the operator, who finds the cause in the log under job {job_id}"))
    return reply


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
        reply["comfyui"] = {"version": runner.live_nodes(refresh=True).version}
    except EngineError as error:
        reply |= {"status": "unavailable", "comfyui": {"error": f"{error.code}: {error.message}"}}
    return reply


def _run(
    request: Request,
    runner: Runner,
    job_id: str,
    cancel: CancellationToken | None,
    on_progress: OnProgress | None,
    allow_files: bool,
) -> dict[str, Any]:
    job = Job(
        id=job_id,
        workflow=request.workflow or "",
        payload=request.payload,
        prompt_id=str(uuid.uuid4()),
        timeout_seconds=request.timeout_seconds,
        allow_files=allow_files,
    )
    return runner.run(job, cancel=cancel, on_progress=on_progress if request.progress else None).as_dict()


def _describe(request: Request, runner: Runner, *_: Any) -> dict[str, Any]:
    workflow = runner.catalog[request.workflow or ""]
    try:
        live = runner.live_nodes()
    except ComfyUnavailable:
        live = None  # then the lists of files stay open
    return workflow.describe(live)


def _render(request: Request, runner: Runner, job_id: str, *_: Any) -> dict[str, Any]:
    workflow = runner.catalog[request.workflow or ""]
    values = workflow.validate(request.payload)
    return {
        "workflow": workflow.name,
        "graph": workflow.render(values, job_id=job_id),
        "values": reported(workflow, values, {}),
    }


_ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "run": _run,
    "list": lambda _request, runner, *_: list_workflows(runner),
    "describe": _describe,
    "render": _render,
    "health": lambda _request, runner, *_: health(runner),
}


def _problem(item: Any) -> Problem:
    where = join_path(item["loc"])
    known = list(Request.model_fields)
    if item["type"] == "extra_forbidden":
        return Problem(where, f"unknown key{did_you_mean(where, known)}; the keys are: {listed(known)}")
    message = item["msg"].replace("Input should", "must", 1)
    return Problem(where, f"{message} (got {shown(item['input'])})")
