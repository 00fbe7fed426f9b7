"""The typed routes: workflows listed, described, rendered and run, each by its name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from engine.errors import ComfyUnavailable, InvalidPayload, Problem
from engine.local_queue import JobRecord, JobState, Submission
from engine.nodes import NodeCatalogue
from engine.plans import NamedPlan
from engine.replies import MOST_LEVELS, too_deep
from engine.request import parse_request
from engine.server import bodies
from engine.server.answers import json_response
from engine.server.body_bounds import release_body
from engine.server.context import ServerContext
from engine.server.forms import payload_of
from engine.server.job_documents import failure_of, job_document
from engine.server.links import base_url, shows_paths, with_base
from engine.server.platform_documents import output_of
from engine.server.problems import UnknownForm, status_of
from engine.server.run_queries import RunQuery, run_query
from engine.server.uploads import uploads_of
from engine.server.waiting import until_over
from engine.wording import kind_of
from engine.workflow import Workflow

_NO_LISTS = NodeCatalogue({}, live=True)
_TAKEN = f"{bodies.JSON}, {bodies.MULTIPART} and {bodies.URLENCODED} are taken"


def router(context: ServerContext) -> APIRouter:
    """The routes below `/workflows`.

    Args:
        context: what the routes share.
    """
    return _Workflows(context).routes()


class _Workflows:
    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._catalog = context.catalog
        self._runner = context.runner
        self._uploads = uploads_of(context)

    def routes(self) -> APIRouter:
        made = APIRouter()
        made.add_api_route("/workflows", self.list, methods=["GET"])
        made.add_api_route("/workflows/{name}", self.describe, methods=["GET"])
        made.add_api_route("/workflows/{name}", self.run, methods=["POST"])
        made.add_api_route("/workflows/{name}/render", self.render, methods=["POST"])
        made.add_api_route("/workflows/{name}/calls", self.calls, methods=["POST"])
        made.add_api_route("/workflows/{name}/graph.svg", self.picture, methods=["GET"])
        return made

    async def list(self) -> Response:
        return json_response(await run_in_threadpool(self._listing))

    async def describe(self, name: str) -> Response:
        return json_response(await run_in_threadpool(self._described, name))

    async def render(self, name: str, request: Request) -> Response:
        payload = await bodies.json_of(request, self._context.settings.api_body_bytes)
        return json_response(await run_in_threadpool(self._rendered, name, payload))

    async def calls(self, name: str, request: Request) -> Response:
        payload = await bodies.json_of(request, self._context.settings.api_body_bytes)
        base = base_url(request, self._context.settings)
        return json_response(await run_in_threadpool(self._calls, name, payload, base))

    async def picture(self, name: str) -> Response:
        text = await run_in_threadpool(self._drawn, name)
        # Its own style alone: an SVG that is opened as a page could hold a script.
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
        return Response(text, media_type="image/svg+xml", headers=headers)

    async def run(self, name: str, request: Request) -> Response:
        query = run_query(request.query_params.multi_items())
        workflow = await run_in_threadpool(self._catalog.__getitem__, name)
        payload = await self._payload(request, workflow)
        base = base_url(request, self._context.settings)
        release_body(request)  # the job holds what it needs of it
        record = await run_in_threadpool(self._queued, workflow, payload, query, base)
        if query.wait_ms and not record.state.final:
            record = await until_over(self._context, record.id, query.wait_ms / 1000)
        return self._answer(record, base)

    def _answer(self, record: JobRecord, base: str) -> Response:
        headers = {"X-Job-Id": record.id}
        paths = shows_paths(self._context.settings)
        if not record.state.final:
            headers["Location"] = f"/jobs/{record.id}"
            return json_response(job_document(record, base, paths=paths), 202, headers)
        if record.state is JobState.COMPLETED:
            return json_response(with_base(output_of(record), base, paths=paths), 200, headers)
        document = failure_of(record)
        status = 504 if record.state is JobState.TIMED_OUT else status_of(str(document["failure"].get("code")))
        return json_response(document, status, headers)

    async def _payload(self, request: Request, workflow: Workflow) -> Any:
        most = self._context.settings.api_body_bytes
        kind = bodies.media_type(request)
        if kind == bodies.MULTIPART:
            most_bytes = self._context.settings.api_uploads_bytes
            async with bodies.multipart_of(request, most_bytes=most_bytes, most_text_bytes=most) as fields:
                return await payload_of(fields, workflow, self._uploads, most_text_bytes=most)
        if kind == bodies.URLENCODED:
            body = await bodies.body_of(request, most)
            if bodies.is_json(body):
                return await bodies.parsed(body)
            fields = bodies.urlencoded(body)
            return await payload_of(fields, workflow, self._uploads, most_text_bytes=most)
        if kind not in ("", bodies.JSON) and not kind.endswith("+json"):
            raise UnknownForm(f"the body is {kind[:100]}; {_TAKEN}")
        return await bodies.json_of(request, most)

    def _queued(self, workflow: Workflow, payload: Any, query: RunQuery, base: str) -> JobRecord:
        """Take the job, once nothing that can be known now speaks against it."""
        document = {"workflow": workflow.name, "payload": payload, **query.keys}
        wishes = parse_request(document)
        plan = NamedPlan(workflow, payload, {}, self._runner.live)
        self._runner.check_delivery(wishes.delivery, plan.parameters)
        plan.check_ready(self._runner.readiness_in(wishes.version_id))
        if self._runner.started and self._runner.serves(wishes.version_id):
            with contextlib.suppress(ComfyUnavailable):
                plan.settle(self._runner.readiness)
        return self._context.queue.submit(Submission(input=document, workflow=workflow.name, base_url=base))

    def _listing(self) -> dict[str, Any]:
        lines = []
        for entry in self._catalog.entries():
            line = entry.as_dict()
            if workflow := entry.workflow:
                line |= self._runner.readiness.state(workflow)
                line["kinds"] = sorted({each.kind for each in workflow.outputs if each.kind})
                line["examples"] = len(workflow.examples)
            lines.append(line)
        troubles = self._catalog.troubles()
        return {"workflows": lines} | ({"warnings": troubles} if troubles else {})

    def _described(self, name: str) -> dict[str, Any]:
        workflow = self._catalog[name]
        return workflow.describe(self._lists()) | self._runner.readiness.state(workflow)

    def _rendered(self, name: str, payload: Any) -> dict[str, Any]:
        from engine.authoring.explanations import Explanation

        workflow = self._catalog[name]
        _check_depth(payload)
        values = workflow.validate(payload, self._lists() or _NO_LISTS)
        graph = workflow.render(values, job_id="local")
        explained = Explanation(workflow, self._catalog.nodes, payload=payload, values=values, graph=graph)
        return {
            "workflow": name,
            "graph": graph,
            "values": workflow.without_media(values, {}),
            "changes": [each.as_dict() for each in explained.changes()],
            "lines": [*explained.lines()],
        }

    def _calls(self, name: str, payload: Any, base: str) -> dict[str, str]:
        from engine.authoring.local_calls import local_calls

        workflow = self._catalog[name]
        if not isinstance(payload, Mapping):
            raise InvalidPayload(problems=[Problem("", f"a payload is an object (got {kind_of(payload)})")])
        _check_depth(payload)
        return local_calls(
            workflow,
            payload,
            url=base,
            token_needed=self._context.settings.api_token is not None,
            is_upload=self._uploads.could_be_one,
        )

    def _drawn(self, name: str) -> str:
        from engine.authoring.graph_picture import graph_picture

        return graph_picture(self._catalog[name], self._catalog.nodes)

    def _lists(self) -> NodeCatalogue | None:
        """What the running ComfyUI has; None where none runs: then the lists of files stay open."""
        try:
            return self._runner.live.get() if self._runner.started else None
        except ComfyUnavailable:
            return None


def _check_depth(payload: Any) -> None:
    """Refuse what no job may be either, before anything walks through it."""
    if too_deep(payload):
        raise InvalidPayload(problems=[Problem("", f"the payload is nested more than {MOST_LEVELS} levels deep")])
