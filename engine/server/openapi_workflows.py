"""The typed routes of a workflow as operations of an OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.authoring.component_names import ComponentNames
from engine.authoring.describing import with_short_files
from engine.authoring.openapi_components import add_components
from engine.authoring.openapi_payloads import reference
from engine.media_values import holds_media
from engine.request_schemas import delivery_properties
from engine.schema import ArrayParameter, MediaParameter, Parameter
from engine.server.bodies import JSON, MULTIPART
from engine.server.openapi_replies import DESCRIPTION, JOB, RENDERED, answer, failures
from engine.server.run_queries import LEAST_SECONDS, LONGEST_WAIT_MS, WAIT_MS
from engine.settings import Settings
from engine.workflow import Workflow

_JOB_ID = {"X-Job-Id": {"description": "The job's id.", "required": True, "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "The job's address.", "required": True, "schema": {"type": "string"}}}


def workflow_paths(
    workflow: Workflow, settings: Settings, names: ComponentNames, schemas: dict[str, Any]
) -> dict[str, Any]:
    """The paths of a workflow; adds its schemas.

    Args:
        workflow: whose.
        settings: where results can go.
        names: of components and operations that are taken.
        schemas: the components, which those of the workflow are added to.
    """
    payload, values, result, form = (
        names.component(workflow.name, part) for part in ("payload", "values", "result", "form")
    )
    schema = add_components(workflow, payload, values, result, names, schemas)
    schemas[form] = _form(workflow, schema, schemas[payload])
    title = workflow.title
    body = {"schema": reference(payload)} | _examples(workflow)
    path = f"/workflows/{workflow.name}"
    needed = any(each.required for each in workflow.parameters.values())

    def operation(verb: str, summary: str, **more: Any) -> dict[str, Any]:
        name = names.operation(verb, workflow.name)
        return {"operationId": name, "tags": ["workflows"], "summary": summary, **more}

    return {
        path: {
            "get": operation(
                "describe",
                f"{title}: what it takes and gives",
                responses={"200": answer("The workflow.", reference(DESCRIPTION)), **failures(404, 503)},
            ),
            "post": operation(
                "run",
                title,
                description=_about(workflow),
                parameters=_query(settings),
                requestBody={
                    "required": needed,
                    "content": {
                        JSON: body,
                        MULTIPART: {"schema": reference(form), "encoding": _encoding(workflow)},
                    },
                },
                responses={
                    "200": answer("The result.", reference(result), _JOB_ID),
                    "202": answer("The job, which waits or runs.", reference(JOB), {**_JOB_ID, **_LOCATION}),
                    **failures(400, 404, 409, 413, 415, 422, 503, 504),
                },
            ),
        },
        f"{path}/render": {
            "post": operation(
                "render",
                f"{title}: the graph that a payload gives; nothing is queued",
                requestBody={"required": needed, "content": {JSON: body}},
                responses={
                    "200": answer("The graph.", reference(RENDERED)),
                    **failures(400, 404, 413, 415, 422, 503),
                },
            )
        },
    }


def _about(workflow: Workflow) -> str:
    parts = [workflow.description]
    if workflow.rules:
        parts.append("\n".join(["What must hold:", "", *(f"- {rule}" for rule in workflow.rules)]))
    if workflow.timeout_seconds:
        parts.append(f"Runs at most {workflow.timeout_seconds:g} seconds.")
    return "\n\n".join(part for part in parts if part) or workflow.title


def _examples(workflow: Workflow) -> dict[str, Any]:
    found = {
        f"example{index}": {"summary": example.title, "value": with_short_files(workflow, example.payload)}
        for index, example in enumerate(workflow.examples, 1)
    }
    return {"examples": found} if found else {}


def _form(workflow: Workflow, schema: Mapping[str, Any], component: Mapping[str, Any]) -> dict[str, Any]:
    """A payload as a form: files as file parts, lists as repeated fields, objects as their JSON."""
    properties = {
        name: _field(parameter, schema["properties"][name], component["properties"][name])
        for name, parameter in workflow.parameters.items()
    }
    required = [name for name, parameter in workflow.parameters.items() if parameter.required]
    return {
        "type": "object",
        "description": f"The payload of {workflow.name} as a form.",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _field(parameter: Parameter, schema: Mapping[str, Any], component: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: schema[key] for key in ("description", "deprecated") if key in schema}
    if isinstance(parameter, MediaParameter):
        return {**about, "type": "string", "format": "binary", "minLength": 1}
    if isinstance(parameter, ArrayParameter) and isinstance(parameter.items, MediaParameter):
        bounds = {key: schema[key] for key in ("minItems", "maxItems") if key in schema}
        return {**about, **bounds, "type": "array", "items": {"type": "string", "format": "binary", "minLength": 1}}
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "array" in kinds:
        # A list of one is a field like any other.
        return {**about, "anyOf": [{key: component[key] for key in component if key != "default"}, component["items"]]}
    if "object" in kinds:
        return dict(component)
    if "boolean" in kinds:
        return {**about, "anyOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}]}
    kept = {key: each for key, each in schema.items() if key not in ("type", "default", "title", "examples")}
    kept = {key: each for key, each in kept.items() if not key.startswith("x-")}
    if "enum" in kept:
        kept["enum"] = [each for each in kept["enum"] if each is not None]
    # A form has no null: what is to be null is left out.
    return {**kept, "type": next(kind for kind in kinds if kind != "null")}


def _encoding(workflow: Workflow) -> dict[str, Any]:
    """Of what type the fields are that are not plain texts."""
    return {
        name: {"contentType": "application/octet-stream"}
        for name, parameter in workflow.parameters.items()
        if holds_media(parameter) and isinstance(parameter, MediaParameter | ArrayParameter)
    }


def _query(settings: Settings) -> list[dict[str, Any]]:
    def parameter(name: str, text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": text, "schema": dict(schema)}

    flag = {"type": "boolean"}
    wait = {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_MS, "default": WAIT_MS}
    found = [
        parameter("async", "Do not wait: answer with the job at once.", flag),
        parameter("wait", "How long to wait for the result, in milliseconds; then the job is the answer.", wait),
        parameter(
            "timeout_seconds",
            "How long it may run, within the operator's bound; waiting does not count.",
            {"type": "number", "minimum": LEAST_SECONDS},
        ),
        parameter(
            "retries",
            "How often a result that quality checks refuse may be made anew.",
            {"type": "integer", "minimum": 0, "maximum": 10},
        ),
        parameter("progress", "Whether progress is told.", flag),
        parameter("previews", "Whether progress has pictures, and what preview nodes show is a result too.", flag),
    ]
    for name, schema in delivery_properties().items():
        narrowed = _narrowed(name, schema, settings)
        text = str(narrowed.pop("description"))
        found.append(parameter(f"delivery.{name}", text, narrowed))
    return found


def _narrowed(name: str, schema: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """A wish as this server can fulfil it."""
    made = json.loads(json.dumps(schema))
    if name == "mode":
        s3, gcs = settings.s3_bucket is not None, settings.gcs_bucket is not None
        in_folder = (settings.storage or ("s3" if s3 or gcs else "directory")) == "directory"
        named = {"directory": in_folder, "inline": True, "s3": s3, "gcs": gcs}
        made["enum"] = [each for each, is_taken in named.items() if is_taken]
    elif name in ("prefix", "filename"):
        made["examples"] = ["portraits"] if name == "prefix" else ["{workflow}_{seed}_{index}"]
    return dict(made)
