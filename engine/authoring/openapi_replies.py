"""What RunPod answers, as component schemas of an OpenAPI 3.1 document: a job, its result, its failure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.authoring.component_names import ComponentNames
from engine.authoring.openapi_payloads import reference
from engine.compiled import DeclaredOutput
from engine.errors import error_classes
from engine.workflow import Workflow

FAILURE, FAILED_OUTPUT, PROGRESS, TIMINGS, STATUS = "Failure", "FailedOutput", "Progress", "Timings", "JobStatus"
QUALITY = "Quality"
JOB_STATES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
"""As RunPod names them (SDK runpod 1.12, `endpoint/helpers.py`, and its documentation)."""

_STRING: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_SECONDS: dict[str, Any] = {"type": "number", "minimum": 0}
_PIXELS = {"width": {**_WHOLE, "description": "In pixels."}, "height": {**_WHOLE, "description": "In pixels."}}
_DURATION: dict[str, Any] = {"duration_seconds": _SECONDS}
_THUMBNAIL = {"thumbnail": {**_STRING, "description": "A small WebP picture as a data URI, where one was asked for."}}
_FILE = {
    "filename": _STRING,
    "url": {**_STRING, "description": "A link to it, where it is in a bucket."},
    "uri": {**_STRING, "description": "Where it is in a bucket: s3://BUCKET/KEY or gs://BUCKET/NAME."},
    "base64": {**_STRING, "description": "Its bytes, where it came in the reply."},
    "expires_at": {**_STRING, "format": "date-time", "description": "When the link ends."},
}
_OF_KIND: dict[str | None, dict[str, Any]] = {
    "image": _FILE | _PIXELS | _DURATION | _THUMBNAIL,
    "video": _FILE | _PIXELS | _DURATION | {"fps": {"type": "number"}} | _THUMBNAIL,
    "audio": _FILE | _DURATION,
    "3d": _FILE,
    "file": _FILE,
    "text": {"text": _STRING},
    None: _FILE | _PIXELS | _DURATION | {"fps": {"type": "number"}} | _THUMBNAIL | {"text": _STRING},
}
_KINDS = [kind for kind in _OF_KIND if kind]


def shared_schemas(*, every_error: bool = False) -> dict[str, Any]:
    """What is alike for every workflow: a failure, timings, progress.

    Args:
        every_error: the codes of the local server are among those of a failure, too.
    """
    classes = [each for each in error_classes() if every_error or each.__module__ == "engine.errors"]
    codes = {each.code: each for each in classes}
    meanings = "\n".join(
        f"- `{code}`: {each.meaning}{' (a retry can help)' if each.retryable else ''}" for code, each in codes.items()
    )
    problem = {
        "type": "object",
        "properties": {
            "parameter": {**_STRING, "description": "The place in the request: `steps`, `loras[0].strength`."},
            "message": _STRING,
        },
        "required": ["parameter", "message"],
    }
    failure = {
        "type": "object",
        "description": f"Why a job failed. The codes:\n\n{meanings}",
        "properties": {
            "code": {**_STRING, "enum": list(codes)},
            "message": _STRING,
            "hint": {"type": ["string", "null"], "description": "What to do."},
            "retryable": {"type": "boolean", "description": "Whether the same job can go well later."},
            "problems": {"type": "array", "items": reference("Problem")},
        },
        "required": ["code", "message", "hint", "retryable", "problems"],
    }
    return {
        STATUS: {**_STRING, "enum": list(JOB_STATES)},
        "Problem": problem,
        FAILURE: failure,
        FAILED_OUTPUT: {
            "type": "object",
            "description": "The output of a job that failed.",
            "properties": {"failure": reference(FAILURE)},
            "required": ["failure"],
        },
        PROGRESS: {
            "type": "object",
            "description": "The output of a job that runs.",
            "properties": {
                "node": {"type": ["string", "null"], "description": "The class of the node that runs."},
                "step": _WHOLE,
                "steps": _WHOLE,
                "fraction": {"type": "number", "minimum": 0, "maximum": 1},
                "title": _STRING,
                "try": {**_WHOLE, "description": "From the second on, where quality checks refused the one before."},
                "preview": {**_STRING, "description": "A data URI of a small JPEG."},
            },
            "required": ["node", "step", "steps", "fraction"],
        },
        QUALITY: _quality(),
        TIMINGS: {
            "type": "object",
            "description": "Seconds that the steps of the job took.",
            "properties": dict.fromkeys(("fetch", "queue", "execute", "store", "total"), _SECONDS),
            "required": ["total"],
            "additionalProperties": _SECONDS,
        },
    }


def result_schema(workflow: Workflow, values: str, outputs: Sequence[str]) -> dict[str, Any]:
    """A finished job of a workflow.

    Args:
        workflow: whose.
        values: the component of its values.
        outputs: the components of its outputs.
    """
    return {
        "type": "object",
        "description": f"What {workflow.name} made.",
        "properties": {
            "workflow": {**_STRING, "const": workflow.name},
            "version": {**_STRING, "description": "Of the parameter map."},
            "outputs": {"type": "array", "items": _one_of(outputs)},
            "values": reference(values),
            "timings": reference(TIMINGS),
            "warnings": {"type": "array", "items": _STRING},
            **({"quality": reference(QUALITY)} if workflow.gates else {}),
        },
        "required": ["workflow", "version", "outputs", "values", "timings", "warnings"],
    }


def _quality() -> dict[str, Any]:
    """What quality gates made of a result; see `engine.verdicts`."""
    bound = {"type": ["number", "null"]}
    score = {
        "type": "object",
        "properties": {
            "check": _STRING,
            "output": _STRING,
            "index": {**_WHOLE, "description": "Of the picture among those of its output."},
            "score": {**bound, "description": "Null where there was no picture, or it could not be read."},
            "min": {**bound, "description": "The least that passes."},
            "max": {**bound, "description": "The highest that passes."},
            "passed": {"type": "boolean"},
        },
        "required": ["check", "output", "index", "score", "min", "max", "passed"],
    }
    one = {
        "type": "object",
        "properties": {
            "try": _WHOLE,
            "accepted": {"type": "boolean"},
            "values": {"type": "object", "description": "Its seeds.", "additionalProperties": _WHOLE},
            "scores": {"type": "array", "items": score},
        },
        "required": ["try", "accepted", "values", "scores"],
    }
    return {
        "type": "object",
        "description": "How the result was judged; not there where no quality check applied.",
        "properties": {
            "accepted": {"type": "boolean", "description": "Whether the result passed all checks."},
            "try": {**_WHOLE, "description": "Which try it is."},
            "tries": {"type": "array", "items": one},
        },
        "required": ["accepted", "try", "tries"],
    }


def output_components(workflow: Workflow, names: ComponentNames, into: dict[str, Any]) -> list[str]:
    """Add a schema for each output of a workflow: named ones by their name, else one for whatever nodes make.

    Returns:
        The components' names.
    """
    if not workflow.declares_outputs:
        name = names.component(workflow.name, "output")
        into[name] = _output(None)
        return [name]
    found = []
    for output in workflow.outputs:
        found.append(names.component(workflow.name, output.name, "output"))
        into[found[-1]] = _output(output)
    return found


def job_schema(results: Sequence[str], *, of: str) -> dict[str, Any]:
    """What RunPod answers; `output` depends on `status`.

    Args:
        results: the components that a finished job's output can be.
        of: whose job it is, for the description.
    """
    return {
        "type": "object",
        "description": f"A job of {of}. One that still waits or runs when the call ends is asked for by its id.",
        "properties": {
            "id": _STRING,
            "status": reference(STATUS),
            "output": {"anyOf": [*(reference(each) for each in (*results, FAILED_OUTPUT, PROGRESS))]},
            "error": {**_STRING, "description": "Why it failed, where it did: the failure in one text."},
            "delayTime": {"type": "integer", "description": "Milliseconds that it waited for a worker."},
            "executionTime": {"type": "integer", "description": "Milliseconds that it ran."},
        },
        "required": ["id", "status"],
    }


def failed_example() -> dict[str, Any]:
    """A job that failed, as an example: one whose payload was refused."""
    message = "steps: must be at most 150 (got 500)"
    return {
        "id": "sync-1",
        "status": "FAILED",
        "error": f"invalid_payload: {message}",
        "output": {
            "failure": {
                "code": "invalid_payload",
                "message": message,
                "hint": None,
                "retryable": False,
                "problems": [{"parameter": "steps", "message": "must be at most 150 (got 500)"}],
            }
        },
    }


def _output(output: DeclaredOutput | None) -> dict[str, Any]:
    kind = output.kind if output else None
    about = ". ".join(text.rstrip(".") for text in (output.title, output.description) if text) if output else ""
    required = ["name", "index", "kind", "node_id", "content_type", "size_bytes", "sha256"]
    if kind:
        required.append("text" if kind == "text" else "filename")
    return ({"description": about} if about else {}) | {
        "type": "object",
        "properties": {
            "name": {**_STRING, "const": output.name} if output else {**_STRING, "description": "The node's id."},
            "index": {**_WHOLE, "description": "Its position among those of the same name."},
            "kind": {**_STRING, "const": kind} if kind else {**_STRING, "enum": _KINDS},
            "node_id": _STRING,
            "content_type": _STRING,
            "size_bytes": _WHOLE,
            "sha256": _STRING,
            **_OF_KIND[kind],
        },
        "required": required,
    }


def _one_of(components: Sequence[str]) -> dict[str, Any]:
    references = [reference(each) for each in components]
    return references[0] if len(references) == 1 else {"anyOf": references}
