"""Who watches a job is forgotten when they go, however they go."""

import asyncio
import gc
import weakref

import anyio
import pytest
from support.local_queue import Desk, job, queue_of

from engine.local_queue.problems import UnknownJob
from engine.server.watching import watching


def test_nothing_is_left_of_whoever_hangs_up(tmp_path):
    desk = Desk()

    async def hangs_up(jobs, job_id):
        with anyio.CancelScope() as scope:  # as Starlette does with a stream whose reader has gone
            async with watching(jobs, job_id) as watched:
                gone = weakref.ref(watched)
                scope.cancel()
                await watched.changed()
        del watched
        gc.collect()
        return gone()

    with queue_of(tmp_path, desk) as jobs:
        sent = jobs.submit(job("watched")).id
        desk.begun()
        assert asyncio.run(hangs_up(jobs, sent)) is None
        desk.end()


def test_a_job_that_there_is_none_of_is_not_watched(tmp_path):
    async def watch(jobs):
        async with watching(jobs, "no-such-job"):
            pass

    with queue_of(tmp_path, Desk()) as jobs, pytest.raises(UnknownJob):
        asyncio.run(watch(jobs))
