"""The server as a process runs it: its queue, its runner, and the end of both."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.comfy_contract import OnProgress
from engine.envelope import answer
from engine.jobs import Runner
from engine.local_queue import Answer, LocalQueue, Submission
from engine.server.context import ServerContext
from engine.server.folder import data_folder
from engine.server.links import linker, server_secret
from engine.server.uploads import UPLOADS, Uploads
from engine.settings import Settings
from engine.storage import Storages

_ANSWER_SECONDS = 15.0
"""After the drain: for jobs to be interrupted, and for the last answers to go out."""


class Shelf:
    """What a server keeps on this machine, and the queue once there is one.

    Args:
        settings: API_FOLDER.

    Raises:
        SettingsError: the folder can't be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = data_folder(settings)
        self.secret = server_secret(self.folder)
        self._queue: LocalQueue | None = None
        self._there = threading.Event()

    def link(self, job_id: str, path: Path, content_type: str) -> str:
        """The link to a result of a job that runs; see `engine.server.links.linker`."""
        return linker(self.secret, self._keep)(job_id, path, content_type)

    @contextlib.contextmanager
    def queue(self, settings: Settings, workers: Sequence[Answer]) -> Iterator[LocalQueue]:
        """The queue, within the block.

        Args:
            settings: API_QUEUE and API_HISTORY.
            workers: what does the work, one for each ComfyUI.

        Raises:
            SettingsError: the folder can't be used, or another server has it.
        """
        queue = LocalQueue(self.folder, workers, most_waiting=settings.api_queue, most_kept=settings.api_history)
        self._queue = queue
        self._there.set()
        try:
            yield queue
        finally:
            queue.stop(0)
            queue.close()

    def _keep(self, job_id: str, path: Path, content_type: str) -> int:
        self._there.wait()  # a job of the last start may be the first that is done in this one
        assert self._queue is not None  # noqa: S101 - it is there
        return self._queue.keep_file(job_id, path, content_type)


def runner_of(settings: Settings, catalog: Catalog, backend: Backend, shelf: Shelf) -> Runner:
    """What runs a server's jobs: results go into a folder, where no bucket is set, and have links.

    Args:
        settings: the operator's.
        catalog: the workflows.
        backend: the ComfyUI.
        shelf: where the links lead.

    Raises:
        SettingsError: the settings of a bucket can't be right.
    """
    storages = Storages(settings, default="directory", link=shelf.link)
    storages.check()
    kept = Uploads(shelf.folder / UPLOADS, settings)
    return Runner(catalog, backend.comfy, storages, settings, backend, kept=kept)


def answer_of(runner: Runner, before_first: Callable[[CancellationToken], None] | None = None) -> Answer:
    """What does the work of a job, with a runner.

    Args:
        runner: runs it.
        before_first: done before the first job.
    """

    def answered(
        job_id: str, submission: Submission, cancel: CancellationToken, on_progress: OnProgress
    ) -> dict[str, Any]:
        if before_first:
            before_first(cancel)
        return answer(
            submission.input,
            runner,
            job_id=job_id,
            cancel=cancel,
            on_progress=on_progress,
            s3_config=submission.s3_config,
        )

    return answered


def serve(context: ServerContext, listener: socket.socket, begun: Callable[[], None]) -> None:
    """Answer requests until the process is told to end.

    Args:
        context: what is served.
        listener: from `engine.server.listening.bound`.
        begun: called once requests are answered.
    """
    import uvicorn

    from engine.server.app import create_app
    from engine.server.ending import Server, with_ending

    settings = context.settings
    config = uvicorn.Config(
        with_ending(create_app(context), context.ending),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody could send one, and have the bound on their requests count another address
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds + _ANSWER_SECONDS),
    )
    server = Server(config, context.queue, context.ending, settings.drain_seconds, begun)
    server.run([listener])
    server.until_stopped()
