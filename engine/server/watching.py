"""Changes of a job, brought from the threads of the queue to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool

from engine.local_queue import JobRecord, LocalQueue


class Watched:
    """A job while it is watched: the latest alone is kept, so that a slow reader holds nothing up.

    Attributes:
        latest: how it stands, for all we were told.
    """

    latest: JobRecord

    def __init__(self) -> None:
        self._begun = False
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def begin(self, record: JobRecord) -> None:
        """Take how it stands at first; what came meanwhile is newer."""
        if not self._begun:
            self.latest, self._begun = record, True

    def tell(self, record: JobRecord) -> None:
        """Take a change; any thread may call it."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever would be told
            self._loop.call_soon_threadsafe(self._take, record)

    async def changed(self, seconds: float | None = None) -> bool:
        """Wait for the next change, at most so long; gives whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def _take(self, record: JobRecord) -> None:
        if not (self._begun and self.latest.state.final):  # progress that comes late changes nothing
            self.latest, self._begun = record, True
        self._changed.set()


@contextlib.asynccontextmanager
async def watching(queue: LocalQueue, job_id: str) -> AsyncIterator[Watched]:
    """Watch a job within the block.

    Raises:
        UnknownJob: there is none of that id.
    """
    watched = Watched()
    block = queue.watch(job_id, watched.tell)
    watched.begin(await run_in_threadpool(block.__enter__))
    try:
        yield watched
    finally:
        with CancelScope(shield=True):  # whoever reads a stream hangs up at any time, and Starlette cancels it then
            await run_in_threadpool(block.__exit__, None, None, None)
