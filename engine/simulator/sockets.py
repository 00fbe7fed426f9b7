"""The websocket side: who is connected, and what is sent to whom."""

from __future__ import annotations

import asyncio
import json
import struct
import uuid
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

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
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, features: dict[str, Any]) -> None:
        self._loop = loop
        self._features = features
        self._messages: asyncio.Queue[tuple[str | bytes, str | None]] = asyncio.Queue()
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._flags: dict[str, dict[str, Any]] = {}
        self._open: set[web.WebSocketResponse] = set()
        self.executing: tuple[str | None, str | None] = (None, None)
        """The client whose prompt runs, and the node that does."""

    def send(self, event: str, data: dict[str, Any], client: str | None = None) -> None:
        """Queue a message for a client, or for all; from any thread."""
        # Made to text here: the executor goes on to change what it has just reported.
        self._queue(json.dumps({"type": event, "data": data}), client)

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
        self._queue(head + buffer.getvalue(), client)

    def wants_metadata(self, client: str | None) -> bool:
        """Whether that client said it takes previews with metadata."""
        return client is not None and self._flags.get(client, {}).get("supports_preview_metadata") is True

    def _queue(self, message: str | bytes, client: str | None) -> None:
        self._loop.call_soon_threadsafe(self._messages.put_nowait, (message, client))

    async def publish(self) -> None:
        """Send what is queued, for ever."""
        while True:
            message, client = await self._messages.get()
            sockets = list(self._sockets.values()) if client is None else [self._sockets.get(client)]
            for socket in sockets:
                if socket is not None:
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
        self._open.add(socket)
        try:
            await _send(socket, json.dumps({"type": "status", "data": {"status": status, "sid": client}}))
            running_client, node = self.executing
            if running_client == client and node is not None:
                await _send(socket, json.dumps({"type": "executing", "data": {"node": node}}))
            first = True
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    if first:
                        await self._negotiate(socket, client, message.data)
                    first = False
        finally:
            self._open.discard(socket)
            self._sockets.pop(client, None)
            self._flags.pop(client, None)
        return socket

    async def _negotiate(self, socket: web.WebSocketResponse, client: str, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        if isinstance(message, dict) and message.get("type") == "feature_flags":
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
