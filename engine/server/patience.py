"""How long bodies of requests are waited for: a caller that drips bytes, or sends none, holds nothing for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from engine.server.asgi import App, Message, Receive, Scope, Send, refuse
from engine.server.problems import BodyTooSlow


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow a caller may be.

    Attributes:
        pause_seconds: between two pieces of a body.
        grace_seconds: of waiting for all of it, however short it is.
        least_rate: bytes a second, over the whole of it, beyond that.
    """

    pause_seconds: float = 30.0
    grace_seconds: float = 60.0
    least_rate: float = 16_000.0

    def left(self, waited: float, came: int) -> float:
        """How many seconds the next piece has.

        Args:
            waited: seconds so far.
            came: bytes so far.
        """
        return max(0.0, min(self.pause_seconds, self.grace_seconds + came / self.least_rate - waited))


def with_patience(app: App, patience: Patience) -> App:
    """The application, for requests whose bodies come; others are answered with 408.

    Only time that the server waits counts, not what it takes to write what came.

    Args:
        app: an ASGI application.
        patience: how long it waits.
    """

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = _Body(patience, receive, send)
        await app(scope, body.receive, body.send)

    return patient


class _Body:
    """The body of one request, while it comes."""

    def __init__(self, patience: Patience, receive: Receive, send: Send) -> None:
        self._patience = patience
        self._receive = receive
        self._send = send
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._waited = 0.0
        self._came = 0
        self._is_whole = False
        self._is_answered = False
        self._is_refused = False

    async def receive(self) -> Message:
        if self._is_whole or self._is_answered or self._is_refused:
            return await self._receive()  # which waits for the caller to go, as long as that takes
        begin = self._now()
        try:
            async with asyncio.timeout(self._patience.left(self._waited, self._came)):
                message = await self._receive()
        except TimeoutError:
            if self._is_answered:
                return await self._receive()
            return await self._refused()
        self._waited += self._now() - begin
        self._came += len(message.get("body", b""))
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self._is_refused:
            return
        self._is_answered = True
        await self._send(message)

    async def _refused(self) -> Message:
        self._is_refused = True
        error = BodyTooSlow("the body of the request did not come", hint="send the request again, with all of its body")
        await refuse(self._send, error, {"Connection": "close"})
        return {"type": "http.disconnect"}
