"""RunPod's routes, with the platform's shapes, so that a client written against it works here unchanged.

The operations are those of https://docs.runpod.io/serverless/endpoints/operation-reference. Each is there twice: at the
root, and under `/v2/ENDPOINT/`, whatever the endpoint's name, where clients of the platform look for it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from engine.errors import Cancelled, InvalidRequest, Problem
from engine.local_queue import JobRecord, JobState, Submission
from engine.server import bodies
from engine.server.answers import json_response
from engine.server.body_bounds import release_body
from engine.server.context import ServerContext
from engine.server.links import base_url, shows_paths
from engine.server.platform_documents import job_document
from engine.server.streaming import Streams
from engine.server.waiting import stands, until_over
from engine.wording import kind_of

LEAST_WAIT_MS, MOST_WAIT_MS, WAIT_MS = 1_000, 300_000, 90_000
"""RunPod's bounds of `?wait=` and what it waits without (operation reference, /runsync)."""

_EXAMPLE = 'a job is {"input": {"workflow": "txt2img", "payload": {"prompt": "a lighthouse"}}}'

Wait = Annotated[int, Query(ge=LEAST_WAIT_MS, le=MOST_WAIT_MS)]


def router(context: ServerContext) -> APIRouter:
    """RunPod's routes.

    Args:
        context: what the routes share.
    """
    routes = APIRouter()
    streams = Streams()
    for prefix in ("", "/v2/{endpoint}"):
        _add(routes, context, streams, prefix)
    return routes


def _add(routes: APIRouter, context: ServerContext, streams: Streams, prefix: str) -> None:
    queue = context.queue
    paths = shows_paths(context.settings)

    def told(request: Request, record: JobRecord) -> dict[str, Any]:
        return job_document(record, base_url(request, context.settings), paths=paths)

    @routes.post(f"{prefix}/run")
    async def run(request: Request) -> Response:
        """Take a job; gives its id at once."""
        submission = await _submission(request, context)
        record = await asyncio.to_thread(queue.submit, submission)
        return json_response({"id": record.id, "status": str(record.state)})

    @routes.post(f"{prefix}/runsync")
    async def runsync(request: Request, wait: Wait = WAIT_MS) -> Response:
        """Take a job and wait for it; one that takes longer is told of as it stands, and asked for by its id."""
        submission = await _submission(request, context)
        record = await asyncio.to_thread(queue.submit, submission)
        del submission  # it may be long, and so may the wait
        release_body(request)
        record = await until_over(context, record.id, wait / 1000)
        return json_response(told(request, record))

    @routes.api_route(f"{prefix}/status/{{job_id}}", methods=["GET", "POST"])
    async def status(request: Request, job_id: str) -> Response:
        """How a job stands, with its output."""
        record = await stands(queue, job_id)
        return json_response(told(request, record))

    @routes.api_route(f"{prefix}/stream/{{job_id}}", methods=["GET", "POST"])
    async def stream(request: Request, job_id: str) -> Response:
        """What has come of a job since the last question: its progress, and once its result."""
        record = await stands(queue, job_id)
        if record.state == JobState.CANCELLED:
            # The runpod client (1.12, endpoint/helpers.py) does not know this state for one in which a stream ends.
            raise Cancelled("the job was cancelled: there is nothing more to come")
        return json_response(streams.since(record, told(request, record)))

    @routes.post(f"{prefix}/cancel/{{job_id}}")
    async def cancel(job_id: str) -> Response:
        """Cancel a job; one that has ended stays as it is."""
        record = await asyncio.to_thread(queue.cancel, job_id)
        return json_response({"id": record.id, "status": str(record.state)})

    @routes.post(f"{prefix}/purge-queue")
    async def purge_queue() -> Response:
        """Cancel every job that waits."""
        return json_response({"removed": await asyncio.to_thread(queue.purge), "status": "completed"})

    @routes.get(f"{prefix}/health")
    async def health() -> Response:
        """How many jobs and workers there are."""
        counts = await asyncio.to_thread(queue.counts)
        running = min(counts.running, counts.workers)
        ready = min(counts.ready, counts.workers)
        jobs = {
            "completed": counts.completed,
            "failed": counts.failed,
            "inProgress": counts.running,
            "inQueue": counts.waiting,
            "retried": counts.retried,
        }
        workers = {
            "idle": max(0, ready - running),
            "initializing": counts.workers - ready,
            "ready": ready,
            "running": running,
            "throttled": 0,
            "unhealthy": 0,
        }
        return json_response({"jobs": jobs, "workers": workers})


async def _submission(request: Request, context: ServerContext) -> Submission:
    """The job in a request's body.

    Raises:
        NotJson: it is none.
        InvalidRequest: it is no job; with every problem.
    """
    # Whatever type it is said to be, as the platform takes it.
    document = await bodies.document_in(await bodies.body_of(request, context.settings.api_body_bytes), hint=_EXAMPLE)
    return submission_of(document, base_url(request, context.settings))


def submission_of(document: Any, server_url: str) -> Submission:
    """A job as RunPod's `/run` takes it.

    Args:
        document: the body; keys beside those that count are let be, as the platform does.
        server_url: of this server, as the caller reaches it.

    Raises:
        InvalidRequest: it is none; with every problem.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(f"the body must be an object (got {kind_of(document)})", hint=_EXAMPLE)
    problems: list[Problem] = []
    if document.get("input") is None:
        problems.append(Problem("input", "is missing"))
    webhook = document.get("webhook")
    if webhook is not None and not (isinstance(webhook, str) and webhook.startswith(("https://", "http://"))):
        problems.append(Problem("webhook", "must be a URL: https://…"))
    policy = document.get("policy")
    if policy is not None and not isinstance(policy, dict):
        problems.append(Problem("policy", f"must be an object (got {kind_of(policy)})"))
        policy = None
    s3_config = document.get("s3Config")
    if s3_config is not None and not isinstance(s3_config, dict):
        problems.append(Problem("s3Config", f"must be an object (got {kind_of(s3_config)})"))
        s3_config = None
    execution_seconds = _seconds(policy or {}, "executionTimeout", problems)
    lifetime_seconds = _seconds(policy or {}, "ttl", problems)
    if problems:
        raise InvalidRequest(problems=problems, hint=_EXAMPLE)
    return Submission(
        document["input"],
        workflow=_workflow_of(document["input"]),
        s3_config=s3_config,
        webhook=webhook,
        base_url=server_url,
        execution_seconds=execution_seconds,
        lifetime_seconds=lifetime_seconds,
    )


def _workflow_of(document: Any) -> str:
    name = document.get("workflow") if isinstance(document, dict) else None
    return name if isinstance(name, str) and len(name) <= 200 and not name.lstrip().startswith("{") else ""


def _seconds(policy: dict[str, Any], key: str, problems: list[Problem]) -> float | None:
    value = policy.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        problems.append(Problem(f"policy.{key}", "must be milliseconds, above 0"))
        return None
    return value / 1000
