"""Bounds on what requests bring, while it is read: nothing longer is ever held."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from engine.server.asgi import App, Message, Receive, Scope, Send, header, refuse
from engine.server.problems import BodyTooLong, TooManyRequests

AT_ONCE = 4
"""So many bodies of the longest there may be at once, as far as memory goes; more are asked to come again."""

_RELEASE = "engine.release_body"
_FORMS = re.compile(r"/workflows/[^/]+")


@dataclass(slots=True)
class _Held:
    """What the bodies of all requests take."""

    size: int = 0


@dataclass(slots=True)
class _Body:
    """The body of one request: counts itself among all."""

    held: _Held
    size: int = 0
    refused: bool = field(default=False)

    def add(self, size: int) -> None:
        self.size += size
        self.held.size += size

    def release(self) -> None:
        self.held.size -= self.size
        self.size = 0


def with_bounds(app: App, longest: int) -> App:
    """The application, for requests whose bodies fit.

    One that is too long is answered with 413; where the bodies of all requests together are too much, with 429. Files
    have bounds of their own, of the routes that write them to the disk as they come.

    Args:
        app: an ASGI application.
        longest: the bytes of a body.
    """
    held = _Held()
    too_long = BodyTooLong(
        f"the body is longer than {longest} bytes",
        hint="send files to POST /files first, or name them by a URL; API_BODY_BYTES is the server's bound",
    )

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_own_bounds(scope):
            await app(scope, receive, send)
            return
        length = header(scope, "content-length")
        if length.isdigit() and int(length) > longest:
            await refuse(send, too_long, {"Connection": "close"})
            return
        body = _Body(held)
        scope[_RELEASE] = body.release

        async def counted() -> Message:
            message = await receive()
            size = len(message.get("body", b""))
            if body.refused or not size:
                return message
            if body.size + size > longest:
                body.refused = True
                await refuse(send, too_long, {"Connection": "close"})
                return {"type": "http.disconnect"}
            if held.size + size > longest * AT_ONCE:
                body.refused = True
                error = TooManyRequests("too much is sent at once", hint="send the request again in a few seconds")
                await refuse(send, error, {"Retry-After": "2", "Connection": "close"})
                return {"type": "http.disconnect"}
            body.add(size)
            return message

        async def unless_refused(message: Message) -> None:
            if not body.refused:
                await send(message)

        try:
            await app(scope, counted, unless_refused)
        finally:
            body.release()

    return bounded


async def body_of(request: Request) -> bytes:
    """The body of a request, which holds it no longer than whoever asks does.

    Raises:
        ClientDisconnect: the caller has gone, or has been refused.
    """
    return b"".join([chunk async for chunk in request.stream()])


def release_body(request: Request) -> None:
    """Say that the body of a request is done with, though its answer may take a while."""
    release: Callable[[], Any] | None = request.scope.get(_RELEASE)
    if release:
        release()


def _has_own_bounds(scope: Scope) -> bool:
    """Whether its route takes files."""
    if scope["method"] != "POST":
        return False
    path = scope["path"]
    if path == "/files":
        return True
    return bool(_FORMS.fullmatch(path)) and header(scope, "content-type").lower().startswith("multipart/form-data")
