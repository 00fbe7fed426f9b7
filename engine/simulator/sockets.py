"""The websocket side: who is connected, and what is sent to whom."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import uuid
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from engine.simulator.faults import Faults
from engine.simulator.mishaps import Mangler

if TYPE_CHECKING:
    from PIL.Image import Image

_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_JPEG, _PNG = 1, 2


class Hub:
    """Sends messages in the order in which they were given, whatever thread gave them.

    Quirks kept from ComfyUI: a second socket of a client takes the place of the first, and when the first
    closes, the second is forgotten; nothing is sent again after a reconnect; a message for nobody in
    particular goes to everyone.

    Args:
        loop: the event loop of the server.
        features: what the server says it can, in answer to a client's `feature_flags`.
        faults: what is to go wrong.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, features: dict[str, Any], faults: Faults) -> None:
        self._loop = loop
        self._features = features
        self._mangler = Mangler(faults)
        self._silent: set[web.WebSocketResponse] = set()
        self._late = 0.0
        self._messages: asyncio.Queue[tuple[str | bytes | Callable[[], None], str | None, float]] = asyncio.Queue()
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._flags: dict[str, dict[str, Any]] = {}
        self._open: dict[web.WebSocketResponse, web.Request] = {}
        self.executing: tuple[str | None, str | None] = (None, None)
        """The client whose prompt runs, and the node that does."""

    def send(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        """Queue a message for a client, or for all; from any thread."""
        # Made to text here: the executor goes on to change what it has just reported.
        end = event == "executing" and data.get("node") is None
        message = json.dumps({"type": event, "data": data})
        for frame in self._mangler.frames(event, message, data.get("prompt_id"), end=end):
            self._queue(frame, client)

    def send_preview(
        self, image: Image, picture_format: str, client: str | None, metadata: dict[str, Any] | None
    ) -> None:
        """Queue a picture for a client, or for all; with metadata for one that asked for it."""
        buffer = BytesIO()
        if picture_format == "PNG":
            image.save(buffer, "PNG", compress_level=1)
        else:
            image.save(buffer, "JPEG", quality=95)
        if metadata is None:
            head = struct.pack(">II", _PREVIEW, _PNG if picture_format == "PNG" else _JPEG)
        else:
            described = json.dumps({**metadata, "image_type": f"image/{picture_format.lower()}"}).encode()
            head = struct.pack(">II", _PREVIEW_WITH_METADATA, len(described)) + described
        prompt_id = metadata and metadata.get("prompt_id")
        for frame in self._mangler.frames("picture", head + buffer.getvalue(), prompt_id, end=False):
            self._queue(frame, client)

    def wants_metadata(self, client: str | None) -> bool:
        """Whether that client said it takes previews with metadata."""
        return client is not None and self._flags.get(client, {}).get("supports_preview_metadata") is True

    def drop(self) -> None:
        """Cut every connection, once what was queued before is sent."""
        self._queue(self._cut, None)

    def fall_silent(self, seconds: float | None) -> None:
        """Send nothing more over the connections there are, for so long or for ever; they stay."""
        self._queue(lambda: self._silence(seconds), None)

    def be_late(self, seconds: float) -> None:
        """Send every frame so much later, until somebody connects."""
        self._queue(lambda: setattr(self, "_late", seconds), None)

    def settle(self, seconds: float) -> None:
        """Wait until what was queued is sent, at most so long; from another thread than the server's."""
        sent = threading.Event()
        self._queue(sent.set, None)
        sent.wait(seconds)

    def block(self, wait: Callable[[], object]) -> None:
        """Have the server do nothing but that."""
        self._loop.call_soon_threadsafe(wait)

    def _cut(self) -> None:
        for request in self._open.values():
            if request.transport is not None:
                request.transport.abort()

    def _silence(self, seconds: float | None) -> None:
        self._silent.update(self._open)
        if seconds is not None:
            self._loop.call_later(seconds, self._silent.clear)

    def _queue(self, message: str | bytes | Callable[[], None], client: str | None) -> None:
        self._loop.call_soon_threadsafe(self._messages.put_nowait, (message, client, self._loop.time()))

    async def publish(self) -> None:
        """Send what is queued, for ever."""
        while True:
            message, client, queued_at = await self._messages.get()
            if callable(message):
                message()
                continue
            if self._late:
                await asyncio.sleep(queued_at + self._late - self._loop.time())
            sockets = list(self._sockets.values()) if client is None else [self._sockets.get(client)]
            for socket in sockets:
                if socket is not None and socket not in self._silent:
                    await _send(socket, message)

    async def handle(self, request: web.Request, status: dict[str, Any]) -> web.WebSocketResponse:
        """Serve `/ws`.

        Args:
            request: its query may hold `clientId`.
            status: what the first message tells of the queue.
        """
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId", "") or uuid.uuid4().hex
        self._sockets[client] = socket
        self._flags[client] = {}
        self._open[socket] = request
        self._late = 0.0
        try:
            await _send(socket, json.dumps({"type": "status", "data": {"status": status, "sid": client}}))
            running_client, node = self.executing
            if running_client == client and node is not None:
                await _send(socket, json.dumps({"type": "executing", "data": {"node": node}}))
            first = True
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    if first:
                        await self._negotiate(client, message.data)
                    first = False
        finally:
            self._open.pop(socket, None)
            self._silent.discard(socket)
            self._sockets.pop(client, None)
            self._flags.pop(client, None)
        return socket

    async def _negotiate(self, client: str, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        socket = self._sockets.get(client)
        if socket and isinstance(message, dict) and message.get("type") == "feature_flags":
            flags = message.get("data", {})
            self._flags[client] = flags if isinstance(flags, dict) else {}
            await _send(socket, json.dumps({"type": "feature_flags", "data": self._features}))

    async def close(self) -> None:
        """Close every socket."""
        for socket in list(self._open):
            await socket.close()


async def _send(socket: web.WebSocketResponse, message: str | bytes) -> None:
    try:
        if isinstance(message, str):
            await socket.send_str(message)
        else:
            await socket.send_bytes(message)
    except ConnectionError:
        pass  # it left; its handler is about to notice
