"""An OpenAPI 3.1 document of an endpoint with our worker: one typed operation per workflow. Pure.

RunPod has one path for all jobs, `POST /runsync`, and OpenAPI one operation per path and method. So the path of each
operation ends in a fragment that names the workflow, `/runsync#txt2img`: keys of their own in the document, and, since
a fragment is never sent (RFC 9110, 4.2.5), the same path on the wire. Tried with openapi-spec-validator 0.9 and
openapi-python-client 0.29. A query (`/runsync?workflow=txt2img`) passes both as well, but is sent; and a union of all
requests under one operation makes a client of one function, whose answer may be any workflow's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.authoring.calls import RUNPOD_URL
from engine.authoring.component_names import ComponentNames
from engine.authoring.describing import with_short_files
from engine.authoring.openapi_components import add_components
from engine.authoring.openapi_payloads import FILE, file_schema, reference
from engine.authoring.openapi_replies import (
    failed_example,
    job_schema,
    shared_schemas,
)
from engine.workflow import Workflow

DELIVERY = "Delivery"


def openapi_document(
    workflows: Sequence[Workflow], *, delivery: Mapping[str, Any], url: str = RUNPOD_URL
) -> dict[str, Any]:
    """The document; the same workflows give the same one.

    Args:
        workflows: in any order; theirs in the document is by name.
        delivery: the JSON Schema of a request's `delivery`.
        url: the endpoint.
    """
    names = ComponentNames()
    shared = {FILE: file_schema(), DELIVERY: dict(delivery), **shared_schemas()}
    for name in (*shared, "Job"):
        names.component(name)
    for name in ("get_job", "cancel_job"):
        names.operation(name)
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    results = []
    for workflow in sorted(workflows, key=lambda each: each.name):
        own = _Components(workflow, names, schemas)
        results.append(own.result)
        paths[f"/runsync#{workflow.name}"] = {"post": _operation(workflow, own, names.operation("run", workflow.name))}
    schemas |= {**shared, "Job": job_schema(results, of="any workflow")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ComfyUI workflows",
            "version": "1.0",
            "description": "Named ComfyUI workflows on RunPod Serverless. An operation queues a job and waits for it.",
        },
        "servers": [_server(url)],
        "security": [{"key": []}],
        "tags": [
            {"name": "workflows", "description": "One operation per workflow."},
            {"name": "jobs", "description": "Jobs that take longer than a call waits."},
        ],
        "paths": {**paths, **_job_paths()},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of RunPod's."}},
        },
    }


class _Components:
    """Adds the schemas of a workflow, and holds their names."""

    def __init__(self, workflow: Workflow, names: ComponentNames, schemas: dict[str, Any]) -> None:
        self.request, payload, values, self.result, self.job = (
            names.component(workflow.name, part) for part in ("request", "payload", "values", "result", "job")
        )
        add_components(workflow, payload, values, self.result, names, schemas)
        schemas[self.job] = job_schema([self.result], of=workflow.name)
        request_input = names.component(workflow.name, "input")
        schemas[request_input] = _input(workflow, payload)
        schemas[self.request] = {
            "type": "object",
            "properties": {
                "input": reference(request_input),
                "webhook": {"type": "string", "format": "uri", "description": "Where RunPod posts the finished job."},
            },
            "required": ["input"],
        }


def _input(workflow: Workflow, payload: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": f"A request for {workflow.name}.",
        "properties": {
            "workflow": {"type": "string", "const": workflow.name},
            "payload": reference(payload),
            "delivery": reference(DELIVERY),
            "timeout_seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "description": "How long it may run, within the operator's bound; waiting does not count.",
            },
            **({"retries": _retries(workflow)} if workflow.gates else {}),
            "progress": {"type": "boolean", "default": True, "description": "Whether progress is told."},
            "version_id": {
                "type": "string",
                "description": "The environment to run in, of those that the worker has; its own by default.",
            },
        },
        "required": ["workflow", "payload"],
    }


def _retries(workflow: Workflow) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": 10,
        "description": "How often a result that does not pass the quality checks may be made anew, with other seeds "
        f"than the payload's as well; {workflow.gates.retries} at most. Without it, a seed in the payload is kept.",
    }


def _operation(workflow: Workflow, own: _Components, name: str) -> dict[str, Any]:
    examples = {
        f"example{index}": {
            "summary": example.title,
            **({"description": example.description} if example.description else {}),
            "value": {"input": {"workflow": workflow.name, "payload": with_short_files(workflow, example.payload)}},
        }
        for index, example in enumerate(workflow.examples, 1)
    }
    body = {"schema": reference(own.request)} | ({"examples": examples} if examples else {})
    answer = {"schema": reference(own.job), "examples": {"failed": {"value": failed_example()}}}
    return {
        "operationId": name,
        "tags": ["workflows"],
        "summary": workflow.title,
        "description": _about(workflow),
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": {
                "description": "The job: finished, failed, or still running after the time that RunPod waits.",
                "content": {"application/json": answer},
            },
        },
    }


def _about(workflow: Workflow) -> str:
    parts = [workflow.description]
    if workflow.rules:
        parts.append("\n".join(["What must hold:", "", *(f"- {rule}" for rule in workflow.rules)]))
    if workflow.gates:
        checks = [f"- {gate}" for gate in workflow.gates.entries]
        parts.append("\n".join(["What a result must pass:", "", *checks, "", f"{workflow.gates.said}."]))
    if workflow.timeout_seconds:
        parts.append(f"Runs at most {workflow.timeout_seconds:g} seconds.")
    return "\n\n".join(part for part in parts if part)


def _job_paths() -> dict[str, Any]:
    def operation(name: str, text: str) -> dict[str, Any]:
        return {
            "operationId": name,
            "tags": ["jobs"],
            "summary": text,
            "parameters": [{"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {
                "200": {"description": "The job.", "content": {"application/json": {"schema": reference("Job")}}}
            },
        }

    return {
        "/status/{job_id}": {"get": operation("get_job", "How a job stands, with its result once it is finished.")},
        "/cancel/{job_id}": {"post": operation("cancel_job", "Cancel a job.")},
    }


def _server(url: str) -> dict[str, Any]:
    if url != RUNPOD_URL:
        return {"url": url.rstrip("/")}
    return {
        "url": RUNPOD_URL.replace("ENDPOINT_ID", "{endpoint_id}"),
        "variables": {"endpoint_id": {"default": "ENDPOINT_ID", "description": "The id of your endpoint."}},
    }
