"""A job's events while it waits and runs: `GET /jobs/ID/events`, as server-sent events.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html: lines of `event`, `id` and `data`,
and an empty one; a line that begins with a colon is a comment, which keeps proxies from hanging up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from engine.local_queue import JobRecord
from engine.server.context import ServerContext
from engine.server.job_documents import job_document
from engine.server.links import base_url, shows_paths
from engine.server.watching import Watched, watching

QUIET_SECONDS = 15.0
"""After which a comment is sent where there is nothing to tell."""

PROGRESS_SECONDS = 0.1
"""Between two events of progress; of those that come faster the latest counts."""


def router(context: ServerContext) -> APIRouter:
    """`/jobs/ID/events`.

    Args:
        context: what the routes share.
    """
    routes = APIRouter()

    @routes.get("/jobs/{job_id}/events")
    async def events(job_id: str, request: Request) -> Response:
        stack = contextlib.AsyncExitStack()
        # Before the answer begins: a job that there is none of gets a 404.
        watched = await stack.enter_async_context(watching(context.queue, job_id))
        base = base_url(request, context.settings)
        paths = shows_paths(context.settings)

        def document(record: JobRecord, *, output: bool) -> dict[str, Any]:
            return job_document(record, base, paths=paths, output=output)

        async def told() -> AsyncIterator[str]:
            async with stack:
                async for text in _Events(watched, context.ending, document).texts():
                    yield text

        return _Stream(told(), stack)

    return routes


class _Stream(StreamingResponse):
    """A stream that lets go of the job also where nobody reads a line of it."""

    def __init__(self, content: AsyncIterator[str], stack: contextlib.AsyncExitStack) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._stack = stack

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stack.aclose()


class _Events:
    """What is told of a job, as the lines of the stream.

    Args:
        watched: the job.
        ending: is set when the server ends, and with it the stream.
        document: makes a job's document.
    """

    def __init__(self, watched: Watched, ending: asyncio.Event, document: Any) -> None:
        self._watched = watched
        self._ending = ending
        self._document = document
        self._number = 0

    async def texts(self) -> AsyncIterator[str]:
        """The stream, from how the job stands to its end."""
        told: JobRecord | None = None
        ended = asyncio.ensure_future(self._ending.wait())
        try:
            while True:
                record = self._watched.latest
                if record.state.final:
                    yield self._event("done", self._document(record, output=True))
                    return
                # The stage alone: what else changes of a job is its progress.
                stage = replace(record, progress=None, input=None, reply=None)
                if told is None or stage != replace(told, progress=None, input=None, reply=None):
                    yield self._event("status", self._document(record, output=False))
                if record.progress and (told is None or record.progress != told.progress):
                    yield self._event("progress", record.progress)
                    await self._pause(ended)
                told = record
                while not await self._changed(ended):
                    if ended.done():
                        return
                    yield ": keep-alive\n\n"
                if ended.done():
                    return
        finally:
            ended.cancel()

    async def _pause(self, ended: asyncio.Future[Any]) -> None:
        await asyncio.wait([ended], timeout=PROGRESS_SECONDS)

    async def _changed(self, ended: asyncio.Future[Any]) -> bool:
        change = asyncio.ensure_future(self._watched.changed())
        try:
            await asyncio.wait([change, ended], timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return change.done()
        finally:
            change.cancel()

    def _event(self, name: str, document: Any) -> str:
        self._number += 1
        return f"event: {name}\nid: {self._number}\ndata: {json.dumps(document, allow_nan=False)}\n\n"
