"""Jobs: how one stands, all that there were, and one that is to be forgotten."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from engine.errors import InvalidRequest, Problem
from engine.local_queue import JobState
from engine.server.answers import json_response
from engine.server.context import ServerContext
from engine.server.job_documents import job_document
from engine.server.links import base_url, shows_paths
from engine.wording import did_you_mean, listed, shown

MOST_JOBS = 200
_KEYS = ("search", "workflow", "status", "before", "limit")


def router(context: ServerContext) -> APIRouter:
    """`/jobs` and `/jobs/ID`.

    Args:
        context: what the routes share.
    """
    routes = APIRouter()
    paths = shows_paths(context.settings)

    @routes.get("/jobs")
    async def history(request: Request) -> Response:
        asked, states, limit = _asked(request)
        records, following = await run_in_threadpool(
            context.queue.history,
            search=asked.get("search", ""),
            workflow=asked.get("workflow", ""),
            states=states,
            before=asked.get("before", ""),
            limit=limit,
        )
        base = base_url(request, context.settings)
        return json_response({"jobs": [job_document(each, base, paths=paths) for each in records], "next": following})

    @routes.get("/jobs/{job_id}")
    async def job(job_id: str, request: Request) -> Response:
        record = await run_in_threadpool(context.queue.get, job_id)
        return json_response(job_document(record, base_url(request, context.settings), paths=paths))

    @routes.delete("/jobs/{job_id}")
    async def forget(job_id: str) -> Response:
        await run_in_threadpool(context.queue.forget, job_id)
        return Response(status_code=204)

    return routes


def _asked(request: Request) -> tuple[dict[str, str], list[JobState], int]:
    """What a query asks of the history.

    Raises:
        InvalidRequest: it is not of the form; with every problem.
    """
    asked: dict[str, str] = {}
    problems = []
    for name, text in request.query_params.multi_items():
        if name not in _KEYS:
            message = f"unknown key{did_you_mean(name[:64], _KEYS)}; the keys are: {listed(_KEYS)}"
            problems.append(Problem(name[:64], message))
        elif name in asked:
            problems.append(Problem(name, "stands twice in the query; keep one"))
        asked.setdefault(name, text)
    states = [each for each in asked.get("status", "").split(",") if each]
    if wrong := [each for each in states if each not in JobState.__members__]:
        near = did_you_mean(wrong[0][:64].upper(), JobState)
        problems.append(Problem("status", f"{shown(wrong[0])} is no status{near}; there are: {listed(JobState)}"))
    limit = asked.get("limit", "50")
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 10 and 1 <= int(limit) <= MOST_JOBS):
        problems.append(Problem("limit", f"must be from 1 to {MOST_JOBS} (got {shown(limit)})"))
    if problems:
        raise InvalidRequest(problems=problems)
    return asked, [JobState(each) for each in states], int(limit)
