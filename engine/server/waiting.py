"""Waiting for a job, but no longer than there is a server."""

from __future__ import annotations

import asyncio
import contextlib

from engine.local_queue import JobRecord, LocalQueue
from engine.server.context import ServerContext
from engine.server.watching import watching


async def until_over(context: ServerContext, job_id: str, seconds: float) -> JobRecord:
    """A job, once it has ended; as it stands, where that takes longer, or the server ends first.

    Args:
        context: whose queue has it.
        job_id: the job.
        seconds: how long to wait.

    Raises:
        UnknownJob: there is none of that id.
    """
    over = asyncio.ensure_future(_over(context.queue, job_id, seconds))
    ending = asyncio.ensure_future(context.ending.wait())
    try:
        await asyncio.wait([over, ending], return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            return over.result()
    finally:
        ending.cancel()
        over.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await over
    return await stands(context.queue, job_id)


async def stands(queue: LocalQueue, job_id: str) -> JobRecord:
    """How a job stands, read from the disk beside the event loop.

    Raises:
        UnknownJob: there is none of that id.
    """
    return await asyncio.to_thread(queue.get, job_id)


async def _over(queue: LocalQueue, job_id: str, seconds: float) -> JobRecord:
    """How a job stands once it is over, or after so long."""
    until = asyncio.get_running_loop().time() + seconds
    async with watching(queue, job_id) as watched:
        while not watched.latest.state.final and (left := until - asyncio.get_running_loop().time()) > 0:
            await watched.changed(left)
        return watched.latest
