"""A job's progress, posted to the platform while it runs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engine.logs import event
from engine.results import Progress
from engine.runpod_sdk import load_runpod

log = logging.getLogger(__name__)

Post = Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]
"""Sends a job's progress: the job as the SDK gave it, and the document."""


class Reporter:
    """Posts a job's progress: the latest alone, one post at a time, and none in flight once it is closed.

    The SDK's own `progress_update` posts from a new thread each, of which a late one can overwrite the result. A post
    that fails or hangs fails no job: it is given up, and the next one is tried.

    Args:
        post: sends one.
        seconds: between two posts.
        post_seconds: the longest a post may take.
        last_seconds: how long the result waits for the post in flight.
    """

    def __init__(
        self,
        post: Callable[[dict[str, Any]], Awaitable[None]],
        seconds: float = 1.0,
        *,
        post_seconds: float = 10.0,
        last_seconds: float = 5.0,
    ) -> None:
        self._post = post
        self._seconds = seconds
        self._post_seconds = post_seconds
        self._last_seconds = last_seconds
        self._loop = asyncio.get_running_loop()
        self._latest: Progress | None = None
        self._fraction = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()
        self._failed = False

    def __call__(self, progress: Progress) -> None:
        """Take a job's progress; any thread may call it, and it never fails the job."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever would be told
            self._loop.call_soon_threadsafe(self._offer, progress)

    def stop(self) -> None:
        """Post no more, and cut off the post in flight: the job was cancelled, and nobody is to hear of it again."""
        self._closed.set()
        if self._task:
            self._task.cancel()

    async def close(self) -> None:
        """Let the post in flight arrive, or cut it off after a while; take no more."""
        self._closed.set()
        if self._task and not self._task.done():
            _, unfinished = await asyncio.wait([self._task], timeout=self._last_seconds)
            for task in unfinished:
                task.cancel()
            if unfinished:
                # A cancelled post has hung up once its task is done; no result goes out before.
                await asyncio.wait(unfinished, timeout=self._last_seconds)

    def _offer(self, progress: Progress) -> None:
        self._latest = progress
        if not self._closed.is_set() and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        while self._latest is not None and not self._closed.is_set():
            latest, self._latest = self._latest, None
            # A job that is run again begins anew; its caller is not to see it go back.
            self._fraction = max(self._fraction, latest.fraction)
            await self._send({**progress_document(latest), "fraction": round(self._fraction, 3)})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self._seconds)

    async def _send(self, document: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._post_seconds):
                await self._post(document)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with a post, the job goes on
            if not self._failed:
                self._failed = True  # said once for a job
                event(log, logging.WARNING, "progress could not be posted", reason=type(error).__name__)


def progress_document(progress: Progress) -> dict[str, Any]:
    """Progress as callers see it: `title`, `preview` (a data URI), `try` (from the second on) where there are any."""
    document: dict[str, Any] = {
        "node": progress.node_class,
        "step": progress.step,
        "steps": progress.steps,
        "fraction": round(progress.fraction, 3),
    }
    if progress.attempt > 1:
        document["try"] = progress.attempt
    if progress.node_title:
        document["title"] = progress.node_title
    if progress.preview:
        document["preview"] = f"data:image/jpeg;base64,{base64.b64encode(progress.preview).decode('ascii')}"
    return document


def post_to_runpod() -> Post:
    """What sends progress as the SDK's `progress_update` does (runpod 1.12, rp_progress.py), but awaited."""
    load_runpod()
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules.rp_http import send_result

    async def post(job: dict[str, Any], document: dict[str, Any]) -> None:
        # A session for each: the SDK writes the job's id into the headers of the one it is given.
        async with AsyncClientSession() as session:
            await send_result(session, {"status": "IN_PROGRESS", "output": document}, job)

    return post
