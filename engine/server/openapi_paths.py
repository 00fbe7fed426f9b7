"""The routes of the local server that are alike for every workflow, as paths of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.authoring.openapi_payloads import reference
from engine.authoring.openapi_replies import JOB_STATES
from engine.server.bodies import JSON, MULTIPART
from engine.server.job_routes import MOST_JOBS
from engine.server.openapi_replies import CALLS, JOB, JOB_LIST, PLATFORM_JOB, UPLOADS, WORKFLOW_LIST, answer, failures
from engine.server.platform_routes import LEAST_WAIT_MS, MOST_WAIT_MS, WAIT_MS

_STRING: dict[str, Any] = {"type": "string"}
_CURSOR: dict[str, Any] = {"type": "string", "pattern": "^[0-9]{0,18}$"}
_SEGMENT: dict[str, Any] = {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9._-]+$"}
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_NOT_EMPTY: dict[str, Any] = {**_BINARY, "minLength": 1}
_EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "id": {"type": "string"}, "data": {"type": "string"}},
}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_MILLISECONDS: dict[str, Any] = {"type": ["number", "null"], "exclusiveMinimum": 0}


def shared_paths(names: Sequence[str]) -> dict[str, Any]:
    """The paths.

    Args:
        names: of the workflows, for routes that have one in their path.
    """
    return {**_workflows(names), **_jobs(), **_files(), **_platform()}


def _workflows(names: Sequence[str]) -> dict[str, Any]:
    listing = _operation(
        "workflows",
        "list_workflows",
        "Every workflow, with whether it works here",
        answer("Them.", reference(WORKFLOW_LIST)),
    )
    if not names:
        return {"/workflows": {"get": listing}}
    name = _parameter("name", "path", "A workflow's name.", {**_STRING, "enum": list(names)})
    calls = _operation(
        "workflows",
        "write_calls",
        "The same call in several languages",
        answer("The calls.", reference(CALLS)),
        400,
        404,
        413,
        415,
        422,
        503,
        parameters=[name],
        requestBody={
            "content": {JSON: {"schema": {"type": "object", "description": "A payload; it need not be valid."}}}
        },
    )
    picture = {"description": "The picture.", "content": {"image/svg+xml": {"schema": _STRING}}}
    drawn = _operation("workflows", "draw_graph", "A picture of the graph", picture, 404, 503, parameters=[name])
    return {
        "/workflows": {"get": listing},
        "/workflows/{name}/calls": {"post": calls},
        "/workflows/{name}/graph.svg": {"get": drawn},
    }


def _jobs() -> dict[str, Any]:
    job_id = _parameter("job_id", "path", "A job's id.", _SEGMENT)
    query = [
        _parameter("search", "query", "Words that the workflow's name, the payload or the values hold.", _STRING),
        _parameter("workflow", "query", "A workflow's name.", _STRING),
        _parameter("status", "query", "A status.", {**_STRING, "enum": list(JOB_STATES)}),
        _parameter("before", "query", "`next` of the answer before, to go on.", _CURSOR),
        _parameter(
            "limit", "query", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST_JOBS, "default": 50}
        ),
    ]
    stream = {
        "description": "Events `status`, `progress` and, as the last, `done`; the data is JSON.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
    number = _parameter("number", "path", "Which of the job's files.", {**_WHOLE, "maximum": 999_999_999})
    filename = _parameter("filename", "path", "The file's name.", _SEGMENT)
    signature = _parameter("signature", "query", "Of the link, in place of the token.", _STRING)
    return {
        "/jobs": {
            "get": _operation(
                "jobs",
                "list_jobs",
                "Jobs, the newest first",
                answer("Them.", reference(JOB_LIST)),
                422,
                parameters=query,
            )
        },
        "/jobs/{job_id}": {
            "get": _operation(
                "jobs", "get_job", "How a job stands", answer("The job.", reference(JOB)), 404, parameters=[job_id]
            ),
            "delete": {
                **_operation(
                    "jobs",
                    "forget_job",
                    "Forget a job that has ended, and remove its files",
                    {},
                    404,
                    409,
                    parameters=[job_id],
                ),
                "responses": {"204": {"description": "It is gone."}, **failures(404, 409)},
            },
        },
        "/jobs/{job_id}/events": {
            "get": _operation("jobs", "watch_job", "A job's events until it is over", stream, 404, parameters=[job_id])
        },
        "/jobs/{job_id}/files/{number}/{filename}": {
            "get": _file("get_result", "A result", [job_id, number, filename, signature, _download()])
        },
    }


def _files() -> dict[str, Any]:
    one = {"type": "array", "items": _NOT_EMPTY, "minItems": 1, "description": "One file, or several."}
    form = {"type": "object", "properties": {"file": one}, "required": ["file"], "additionalProperties": False}
    send = {
        "operationId": "send_files",
        "tags": ["files"],
        "summary": "Keep files, whose names payloads may hold",
        "requestBody": {"required": True, "content": {MULTIPART: {"schema": form}}},
        "responses": {"201": answer("What was kept.", reference(UPLOADS)), **failures(400, 413, 422)},
    }
    name = _parameter("name", "path", "As `POST /files` gave it.", _SEGMENT)
    return {
        "/files": {"post": send},
        "/files/{name}": {"get": _file("get_file", "A file that was sent", [name, _download()])},
    }


def _platform() -> dict[str, Any]:
    job_id = _parameter("job_id", "path", "A job's id.", _SEGMENT)
    job = answer("The job.", reference(PLATFORM_JOB))
    request = {
        "type": "object",
        "properties": {
            "input": {
                "type": ["object", "string", "array", "number", "boolean"],
                "items": {},
                "description": 'The request: {"workflow": "txt2img", "payload": {"prompt": "…"}}. What is wrong with '
                "it is told by the job.",
            },
            "webhook": {
                "type": ["string", "null"],
                "description": "Where the finished job is posted: an http or https URL.",
            },
            "policy": {
                "type": ["object", "null"],
                "description": "In milliseconds; `lowPriority` is taken and makes no difference.",
                "properties": {"executionTimeout": _MILLISECONDS, "ttl": _MILLISECONDS, "lowPriority": {}},
            },
            "s3Config": {"type": ["object", "null"], "description": "Your own bucket, where the operator allows it."},
        },
        "required": ["input"],
    }
    body = {"required": True, "content": {JSON: {"schema": request}}}
    wait = {"type": "integer", "minimum": LEAST_WAIT_MS, "maximum": MOST_WAIT_MS, "default": WAIT_MS}
    counts = {"type": "object", "additionalProperties": _WHOLE}
    taken = {"type": "object", "properties": {"id": _STRING, "status": _STRING}, "required": ["id", "status"]}
    purged = {"type": "object", "properties": {"removed": _WHOLE, "status": _STRING}, "required": ["removed", "status"]}
    health = {"type": "object", "properties": {"jobs": counts, "workers": counts}, "required": ["jobs", "workers"]}
    streamed = {
        "type": "object",
        "properties": {"status": _STRING, "stream": {"type": "array", "items": {"type": "object"}}},
        "required": ["status", "stream"],
    }
    waits = _parameter("wait", "query", "How long to wait, in milliseconds.", wait)

    def asked(name: str, summary: str, response: Mapping[str, Any], *more: int, **parts: Any) -> dict[str, Any]:
        return _operation("platform", name, summary, response, *more, **parts)

    def of_job(name: str, summary: str, response: Mapping[str, Any], *more: int) -> dict[str, Any]:
        return asked(name, summary, response, 404, *more, parameters=[job_id])

    status, stream = "How a job stands", "What has come of a job since the last question"
    queued = answer("It is queued.", taken)
    return {
        "/run": {"post": asked("run", "Queue a job", queued, 400, 413, 422, 503, requestBody=body)},
        "/runsync": {
            "post": asked(
                "runsync", "Queue a job and wait", job, 400, 404, 413, 422, 503, requestBody=body, parameters=[waits]
            )
        },
        "/status/{job_id}": {"get": of_job("get_status", status, job), "post": of_job("post_status", status, job)},
        "/stream/{job_id}": {
            "get": of_job("get_stream", stream, answer("It.", streamed), 409),
            "post": of_job("post_stream", stream, answer("It.", streamed), 409),
        },
        "/cancel/{job_id}": {"post": of_job("cancel", "Cancel a job", answer("It is cancelled, or was over.", taken))},
        "/purge-queue": {"post": asked("purge_queue", "Cancel every job that waits", answer("How many.", purged))},
        "/health": {"get": asked("health", "How many jobs and workers there are", answer("The counts.", health))},
    }


def _operation(
    tag: str, name: str, summary: str, response: Mapping[str, Any], *statuses: int, **parts: Any
) -> dict[str, Any]:
    responses = {"200": response, **failures(*statuses)}
    return {"operationId": name, "tags": [tag], "summary": summary, **parts, "responses": responses}


def _file(name: str, summary: str, parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    whole = {"description": "The file.", "content": {"*/*": {"schema": _BINARY}}}
    part = {"description": "The part of it that the header `Range` asks for.", "content": {"*/*": {"schema": _BINARY}}}
    responses = {"200": whole, "206": part, **failures(404, 416, 422)}
    return {
        "operationId": name,
        "tags": ["files"],
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    }


def _download() -> dict[str, Any]:
    return _parameter("download", "query", "Save it, and do not show it.", {"type": "boolean"})


def _parameter(name: str, where: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, **required, "description": text, "schema": dict(schema)}
