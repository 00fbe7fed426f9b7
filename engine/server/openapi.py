"""`GET /openapi.json`: the server's API with an operation for each workflow, as OpenAPI 3.1.

Made by hand: what FastAPI derives from handlers knows nothing of the workflows, which come and go while it runs.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from engine.authoring.component_names import ComponentNames
from engine.authoring.openapi_payloads import FILE, file_schema
from engine.authoring.openapi_replies import shared_schemas
from engine.logs import event
from engine.server.answers import json_response
from engine.server.context import ServerContext
from engine.server.links import base_url
from engine.server.openapi_paths import shared_paths
from engine.server.openapi_replies import failure_responses, server_schemas
from engine.server.openapi_workflows import workflow_paths
from engine.settings import Settings
from engine.workflow import Workflow

log = logging.getLogger(__name__)

_ABOUT = """\
Named ComfyUI workflows on this machine. A workflow's own route takes its payload and answers with the result; RunPod's
routes take the same jobs in the platform's shape, also below `/v2/ENDPOINT/`. A failure is one document everywhere:
`error` says all in one text, `failure` the same in parts."""

_TAGS = {
    "workflows": "One route per workflow.",
    "jobs": "Jobs that wait, run, or have ended.",
    "files": "Files that payloads name, and results.",
    "platform": "RunPod's routes.",
}


def router(context: ServerContext) -> APIRouter:
    """`/openapi.json`.

    Args:
        context: what the routes share.
    """
    routes = APIRouter()
    made = _Made(context)

    @routes.get("/openapi.json")
    async def document(request: Request) -> Response:
        described = await run_in_threadpool(made.get)
        return json_response({**described, "servers": [{"url": base_url(request, context.settings)}]})

    return routes


class _Made:
    """The document, made anew where a workflow has come, gone or changed."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._of: list[Workflow] = []
        self._document: dict[str, Any] | None = None

    def get(self) -> dict[str, Any]:
        with self._lock:
            found = [each.workflow for each in self._context.catalog.entries() if each.workflow]
            same = len(found) == len(self._of) and all(a is b for a, b in zip(found, self._of, strict=True))
            if self._document is None or not same:
                self._document, self._of = openapi_document(found, self._context.settings), found
            return self._document


def openapi_document(workflows: Sequence[Workflow], settings: Settings) -> dict[str, Any]:
    """The document, but for the address of the server.

    Args:
        workflows: those that load.
        settings: the server's.
    """
    names = ComponentNames()
    schemas: dict[str, Any] = {FILE: file_schema(), **shared_schemas(every_error=True), **server_schemas()}
    shared = shared_paths(sorted(each.name for each in workflows))
    for name in (*schemas, *failure_responses()):
        names.component(name)
    for path in shared.values():
        for operation in path.values():
            names.operation(operation["operationId"])
    paths: dict[str, Any] = {}
    for workflow in sorted(workflows, key=lambda each: each.name):
        own: dict[str, Any] = {}
        try:
            paths |= workflow_paths(workflow, settings, names, own)
        except Exception as error:  # noqa: BLE001 - whatever one workflow provokes, the others are described
            event(log, logging.ERROR, "a workflow can't be described", workflow=workflow.name, reason=repr(error))
            continue
        schemas |= own
    components: dict[str, Any] = {"schemas": dict(sorted(schemas.items())), "responses": failure_responses()}
    secured: dict[str, Any] = {}
    if settings.api_token is not None:
        scheme = {"type": "http", "scheme": "bearer", "description": "The server's token, API_TOKEN."}
        components["securitySchemes"] = {"token": scheme}
        secured = {"security": [{"token": []}]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ComfyUI workflows",
            "version": importlib.metadata.version("comfyui-workflow-engine"),
            "description": _ABOUT,
        },
        **secured,
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": {**paths, **shared},
        "components": components,
    }
