"""Calls that go through the local server's queue, so that they show in its history."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import anyio
from anyio import to_thread

from engine.errors import Cancelled, ExecutionTimeout
from engine.local_queue import JobRecord, JobState, LocalQueue, Submission
from engine.mcp.calls import OnStanding, Standing, standing_of, waiting
from engine.mcp.tools import MEDIA_SENT
from engine.replies import failure_reply

Shown = Callable[[dict[str, Any], str], dict[str, Any]]
"""A reply as its caller may see it: it, and the URL of this server as the caller reaches it."""


class QueueCalls:
    """Has the queue run calls.

    Args:
        queue: takes the jobs.
        shown: makes links of what is kept in replies; `engine.server.links.with_base` does.
    """

    media = MEDIA_SENT

    def __init__(self, queue: LocalQueue, shown: Shown) -> None:
        self._queue = queue
        self._shown = shown

    async def call(self, request: dict[str, Any], told: OnStanding, base_url: str) -> dict[str, Any]:
        """Have a request run to its end; see `Calls.call`."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[JobRecord] = loop.create_future()

        def look(record: JobRecord) -> None:
            if record.state.final:
                if not ended.done():
                    ended.set_result(record)
            else:
                told(_standing(record))

        def on_change(record: JobRecord) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever would be told
                loop.call_soon_threadsafe(look, record)

        submission = Submission(input=request, workflow=str(request.get("workflow", "")), base_url=base_url)
        job_id = (await to_thread.run_sync(self._queue.submit, submission)).id
        try:
            with self._queue.watch(job_id, on_change) as begun:
                look(begun)
                record = await ended
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._queue.cancel, job_id)
            raise
        return _reply(record)

    def shown(self, reply: dict[str, Any], base_url: str) -> dict[str, Any]:
        """The reply with links that begin with the URL."""
        return self._shown(reply, base_url)


def _standing(record: JobRecord) -> Standing:
    if record.state is JobState.IN_QUEUE:
        return waiting(record.position)
    return standing_of(record.progress) if record.progress else Standing(0.0, "begins")


def _reply(record: JobRecord) -> dict[str, Any]:
    if record.reply is not None:
        return dict(record.reply)
    if record.state is JobState.CANCELLED:
        return failure_reply(Cancelled("the job was cancelled"))
    return failure_reply(ExecutionTimeout("the job did not end within its time", hint="send it again"))
