"""How the server ends: jobs that run may finish, those that wait do so again after the next start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from engine.local_queue import LocalQueue
from engine.logs import event
from engine.server.asgi import App, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_OWN_END_SECONDS = 1.0
"""For a stream that knows of the end to say its last."""


class Server(uvicorn.Server):
    """Takes no more requests once it is told to end, and lets go of the connections when the queue has stopped.

    SIGTERM: jobs that run may finish for a while, and whoever waits for one still gets it. SIGINT (Ctrl-C): they are
    interrupted at once. So does a second signal.

    Args:
        config: uvicorn's.
        queue: is stopped.
        ending: is set when it has stopped: whoever still waits is answered with how things stand.
        drain_seconds: how long jobs that run may still take.
        begun: called once requests are answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        queue: LocalQueue,
        ending: asyncio.Event,
        drain_seconds: float,
        begun: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._begun = begun
        self._stopping: threading.Thread | None = None
        self._queue = queue
        self._ending = ending
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the base class's
        """Begin to end."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop = asyncio.get_running_loop()
            if self.should_exit:
                event(log, logging.WARNING, "told again to end: what is left is cut short")
                threading.Thread(target=self._stop, args=(loop, 0.0), name="stop at once", daemon=True).start()
                return
            self.should_exit = True
            number = signal.Signals(sig)
            seconds = self._drain_seconds if number == signal.SIGTERM else 0.0
            event(log, logging.INFO, "told to end", signal=number.name, seconds=seconds)
            self._stopping = threading.Thread(target=self._stop, args=(loop, seconds), name="stop", daemon=True)
            self._stopping.start()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._begun()

    def until_stopped(self) -> None:
        """Wait for the jobs that may still finish."""
        if self._stopping:
            self._stopping.join()

    def _stop(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        try:
            self._queue.stop(seconds)
        finally:
            with contextlib.suppress(RuntimeError):  # a second signal has ended the loop
                loop.call_soon_threadsafe(self._ending.set)


def with_ending(app: App, ending: asyncio.Event) -> App:
    """The application, whose streams end with the server: those that don't by themselves see their caller go.

    Args:
        app: an ASGI application.
        ending: is set when the server ends.
    """

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        read = scope["type"] != "http"

        async def received() -> Message:
            nonlocal read
            if not read:
                message = await receive()
                read = not message.get("more_body", False)
                return message
            message_task = asyncio.ensure_future(receive())
            ending_task = asyncio.ensure_future(_while_after(ending))
            try:
                await asyncio.wait([message_task, ending_task], return_when=asyncio.FIRST_COMPLETED)
                return message_task.result() if message_task.done() else {"type": "http.disconnect"}
            finally:
                message_task.cancel()
                ending_task.cancel()

        await app(scope, received if scope["type"] == "http" else receive, send)

    return bounded


async def _while_after(ending: asyncio.Event) -> None:
    await ending.wait()
    await asyncio.sleep(_OWN_END_SECONDS)
