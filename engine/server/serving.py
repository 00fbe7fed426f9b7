"""The server as a process runs it: its queue, a runner for each ComfyUI, and the end of both."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.errors import ComfyUnavailable
from engine.local_queue import Answer, LocalQueue
from engine.local_queue.answering import RunnerAnswer
from engine.local_queue.lanes import Lane, runners
from engine.server.context import ServerContext
from engine.server.folder import data_folder
from engine.server.links import linker, server_secret, shows_paths
from engine.server.platform_documents import job_document
from engine.server.uploads import UPLOADS, Uploads, names_in_use
from engine.settings import Settings
from engine.storage import Storages

_ANSWER_SECONDS = 15.0
"""After the drain: for jobs to be interrupted, and for the last answers to go out."""

BeforeFirst = Callable[[CancellationToken], None]


class Shelf:
    """What a server keeps on this machine, and the queue once there is one.

    Args:
        settings: the operator's.

    Attributes:
        folder: holds it.
        secret: signs links.

    Raises:
        SettingsError: the folder can't be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = data_folder(settings)
        self.secret = server_secret(self.folder)
        self._uploads = Uploads(self.folder / UPLOADS, settings)
        self._queue: LocalQueue | None = None

    def lanes(self, catalog: Catalog, stack: ExitStack, *, simulate: bool) -> list[Lane]:
        """A runner for each ComfyUI; results go into a folder, where no bucket is set, and have links.

        Args:
            catalog: the workflows.
            stack: closes them.
            simulate: use the simulator where no ComfyUI is set.

        Raises:
            SettingsError: the settings of a bucket can't be right.
        """

        def storages(settings: Settings) -> Storages:
            made = Storages(settings, default="directory", link=linker(self.secret, self._keep))
            made.check()
            return made

        found = runners(self._settings, catalog, storages, simulate=simulate, kept=self._uploads)
        for lane in found:
            stack.enter_context(lane.backend)
        return found

    @contextlib.contextmanager
    def queue(self, lanes: Sequence[Lane], before_first: Sequence[BeforeFirst | None] = ()) -> Iterator[LocalQueue]:
        """The queue, within the block.

        Args:
            lanes: what does the work.
            before_first: for each what is done before its first job; empty for nothing.

        Raises:
            SettingsError: the folder can't be used, or another server has it.
        """
        settings = self._settings
        befores = before_first or [None] * len(lanes)
        workers: list[Answer] = [
            RunnerAnswer(lane.runner, before_first=before) for lane, before in zip(lanes, befores, strict=True)
        ]
        queue = LocalQueue(
            self.folder,
            workers,
            most_waiting=settings.api_queue,
            most_kept=settings.api_history,
            document=job_document,
            private_webhooks=settings.allow_private_urls or shows_paths(settings),
            begin=False,
        )
        try:
            self._queue = queue  # before the jobs of the last start go on, whose results are to be kept
            self._uploads.in_use = lambda: names_in_use(queue)
            queue.start()
            yield queue
        finally:
            queue.stop(0)
            queue.close()

    def _keep(self, job_id: str, path: Path, content_type: str) -> int:
        if self._queue is None:
            raise ComfyUnavailable("the server has not begun", hint="send the job again")
        return self._queue.keep_file(job_id, path, content_type)


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
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of every session
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
