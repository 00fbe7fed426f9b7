"""Calls that are run in this process: `engine mcp`."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.cancellation import CancellationToken
from engine.envelope import answer
from engine.jobs import Runner
from engine.mcp.calls import OnStanding, standing_of, waiting
from engine.mcp.tools import MEDIA_HERE
from engine.reporting import progress_document
from engine.results import Progress

_AT_ONCE = 4
"""ComfyUI runs one after another; meanwhile the files of the next can be fetched."""


class RunnerCalls:
    """Runs calls in threads of its own, as `engine run` does: arguments may name files of this machine.

    Args:
        runner: runs them.
    """

    media = MEDIA_HERE

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tool")
        self._tokens: set[CancellationToken] = set()

    async def call(self, request: dict[str, Any], told: OnStanding, base_url: str) -> dict[str, Any]:  # noqa: ARG002
        """Run a request to its end; see `Calls.call`."""
        loop, token, job_id = asyncio.get_running_loop(), CancellationToken(), uuid.uuid4().hex[:12]

        def on_progress(progress: Progress) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever would be told
                loop.call_soon_threadsafe(told, standing_of(progress_document(progress)))

        def work() -> dict[str, Any]:
            return answer(request, self._runner, job_id=job_id, cancel=token, on_progress=on_progress, allow_files=True)

        told(waiting(None))
        self._tokens.add(token)
        future = loop.run_in_executor(self._pool, work)
        future.add_done_callback(self._forget(token))
        try:
            # The thread goes on where the task is cancelled, and is told to stop.
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            token.cancel()
            raise

    def _forget(self, token: CancellationToken) -> Callable[[asyncio.Future[Any]], None]:
        def forget(done: asyncio.Future[Any]) -> None:
            self._tokens.discard(token)
            if not done.cancelled():
                done.exception()  # looked at, since nobody may wait for it any more

        return forget

    def shown(self, reply: dict[str, Any], base_url: str) -> dict[str, Any]:  # noqa: ARG002
        """The reply itself: whoever called it is on this machine."""
        return reply

    def close(self) -> None:
        """Cancel what still runs, and wait until ComfyUI has let go of it."""
        for token in list(self._tokens):
            token.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
