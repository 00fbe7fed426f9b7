"""What the local server answers beside results, as parts of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.authoring.openapi_payloads import reference
from engine.authoring.openapi_replies import FAILURE, PROGRESS, STATUS

FAILURE_REPLY, JOB, JOB_LIST, PLATFORM_JOB, UPLOADS = "FailureReply", "Job", "JobList", "PlatformJob", "Uploads"
DESCRIPTION, WORKFLOW_LIST, RENDERED, CALLS = "Description", "WorkflowList", "Rendered", "Calls"

_STRING: dict[str, Any] = {"type": "string"}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_WHOLE_OR_NULL: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_OBJECT: dict[str, Any] = {"type": "object"}

_FAILURES = {
    400: ("NotRead", "The body is no JSON, or no form."),
    401: ("Unauthorized", "The server's token is missing or wrong."),
    403: ("Forbidden", "A page of a site that may not call the server sent the request."),
    404: ("NotFound", "There is no such thing (any more)."),
    405: ("WrongMethod", "The address is asked with another method."),
    408: ("TooSlow", "The body did not come."),
    409: ("Conflict", "The job was cancelled, or has to end first."),
    413: ("TooLong", "The body is longer than the server takes."),
    415: ("UnknownForm", "The body is of a media type that the route does not take."),
    416: ("NoRange", "The file has no such range; `Content-Range` says how long it is."),
    421: ("WrongName", "The server does not go by the name that it was called by."),
    422: ("Refused", "What was sent is not what is taken; `failure.problems` says all of it."),
    429: ("TooMany", "Too many jobs wait already, or too much is asked; `Retry-After` says when to come again."),
    500: ("Failed", "The job failed, or the server did."),
    503: ("NotReady", "The workflow lacks something here, or ComfyUI does not answer."),
    504: ("TimedOut", "The job's time was over."),
}
ALWAYS = (401, 403, 421, 429, 500)
"""What every route can answer."""


def failures(*statuses: int) -> dict[str, Any]:
    """The responses of a route that can fail with these, and with what every route can; a body can also not come."""
    found = sorted({*statuses, *ALWAYS, *([408] if 413 in statuses else [])})
    return {str(status): {"$ref": f"#/components/responses/{_FAILURES[status][0]}"} for status in found}


def failure_responses() -> dict[str, Any]:
    """The shared responses, for `components`."""
    content = {"application/json": {"schema": reference(FAILURE_REPLY)}}
    made: dict[str, Any] = {name: {"description": text, "content": content} for name, text in _FAILURES.values()}
    made["TooMany"]["headers"] = {"Retry-After": {"description": "In seconds.", "schema": _WHOLE}}
    made["NoRange"]["headers"] = {"Content-Range": {"schema": _STRING}}
    made["Unauthorized"]["headers"] = {"WWW-Authenticate": {"schema": _STRING}}
    return made


def answer(description: str, schema: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A response in JSON."""
    made: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema}}}
    return made | ({"headers": dict(headers)} if headers else {})


def server_schemas() -> dict[str, Any]:
    """The shared schemas of the server. A result is told by its workflow's own route; in a job it is any object."""
    upload = _of({"name": _STRING, "content_type": _STRING, "size_bytes": _WHOLE}, width=_WHOLE, height=_WHOLE)
    line = _of(
        {"name": _STRING, "status": {**_STRING, "enum": ["ready", "not_ready", "broken"]}},
        title=_STRING,
        description=_STRING,
        version=_STRING,
        kinds={"type": "array", "items": _STRING, "description": "Of its outputs: image, video, audio, text."},
        examples={**_WHOLE, "description": "How many its map has."},
        problems={"type": "array", "items": _STRING, "description": "What is wrong with one that is broken."},
        missing={"type": "array", "items": _OBJECT, "description": "What one lacks that is not ready."},
        missing_for_some={"type": "array", "items": _OBJECT},
    )
    return {
        FAILURE_REPLY: _of({"error": {**_STRING, "description": "Says enough alone."}, "failure": reference(FAILURE)}),
        "Upload": {**upload, "description": "A file that was sent; its name is what a payload holds."},
        UPLOADS: _of({"files": {"type": "array", "items": reference("Upload")}}),
        "WorkflowLine": line,
        WORKFLOW_LIST: _of(
            {"workflows": {"type": "array", "items": reference("WorkflowLine")}},
            warnings={"type": "array", "items": _STRING},
        ),
        DESCRIPTION: _of(
            {
                "name": _STRING,
                "title": _STRING,
                "description": _STRING,
                "version": _STRING,
                "status": {**_STRING, "enum": ["ready", "not_ready"]},
                "payload": {**_OBJECT, "description": "The JSON Schema of its payload."},
                "outputs": {"type": "array", "items": _OBJECT},
                "rules": {"type": "array", "items": _STRING},
                "requires": _OBJECT,
                "examples": {"type": "array", "items": _OBJECT},
            }
        ),
        RENDERED: _of(
            {
                "workflow": _STRING,
                "graph": {**_OBJECT, "description": "What would be queued in ComfyUI."},
                "values": _OBJECT,
                "changes": {
                    "type": "array",
                    "items": _OBJECT,
                    "description": "What differs from the template, and why.",
                },
                "lines": {"type": "array", "items": _STRING, "description": "The same, for people."},
            }
        ),
        CALLS: _of(
            dict.fromkeys(("curl", "python", "javascript"), _STRING)
            | {"runpod": {**_STRING, "description": "The body for `POST /run` of an endpoint."}}
        ),
        JOB: _job(),
        JOB_LIST: _of({"jobs": {"type": "array", "items": reference(JOB)}, "next": _TEXT_OR_NULL}),
        PLATFORM_JOB: _of(
            {"id": _STRING, "status": reference(STATUS)},
            output={"description": "The result, the failure, or while it runs the progress."},
            error=_STRING,
            delayTime=_WHOLE,
            executionTime=_WHOLE,
            workerId=_STRING,
        ),
    }


def _job() -> dict[str, Any]:
    made = _of(
        {
            "id": _STRING,
            "status": reference(STATUS),
            "workflow": _TEXT_OR_NULL,
            "created_at": {**_STRING, "format": "date-time"},
            "started_at": _MOMENT,
            "finished_at": _MOMENT,
            "delayTime": {**_WHOLE_OR_NULL, "description": "Milliseconds that it waited."},
            "executionTime": {**_WHOLE_OR_NULL, "description": "Milliseconds that it ran."},
            "position": {**_WHOLE_OR_NULL, "description": "How many jobs wait before it; null once it runs."},
            "progress": {"anyOf": [reference(PROGRESS), {"type": "null"}]},
            "payload": {"description": "As it was sent; files that are long texts are left out."},
            "output": {"type": ["object", "null"], "description": "The result, as the workflow's own route gives it."},
            "error": _TEXT_OR_NULL,
            "failure": {"anyOf": [reference(FAILURE), {"type": "null"}]},
        },
        payload_shortened={"type": "boolean"},
    )
    return {**made, "description": "A job; what it has not got (yet) is null."}


def _of(required: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}
