"""Bounds on what requests bring, while it is read: nothing longer is ever held."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from engine.errors import EngineError
from engine.server.asgi import App, Message, Receive, Scope, Send, failure_messages, header
from engine.server.problems import BodyTooLong, TooManyRequests

AT_ONCE = 4
"""So many bodies of the longest there may be at once, as far as memory goes; more are asked to come again."""

_LINGER_SECONDS = 10.0
"""For a caller whose request was refused to see so."""

_RELEASE, _RESERVE = "engine.release_body", "engine.reserve_body"
_FORMS = re.compile(r"/workflows/[^/]+")


@dataclass(slots=True)
class _Held:
    """What the bodies of all requests take."""

    size: int = 0


@dataclass(slots=True)
class _Body:
    """The body of one request: counts itself among all.

    Attributes:
        held: what all take.
        most: that all may take.
        size: what this one takes of it.
        came: how much of it was read.
        refused: whether the request was answered for that.
        released: whether it takes nothing any more.
    """

    held: _Held
    most: int
    size: int = 0
    came: int = 0
    refused: bool = False
    released: bool = False

    def reserve(self, size: int) -> bool:
        """Take room for so much; false where there is none."""
        more = size - self.size
        if more <= 0 or self.released:
            return True
        if self.held.size + more > self.most:
            return False
        self.size += more
        self.held.size += more
        return True

    def release(self) -> None:
        self.held.size -= self.size
        self.size, self.released = 0, True


def with_bounds(app: App, longest: int) -> App:
    """The application, for requests whose bodies fit.

    One that is too long is answered with 413; where the bodies of all requests together are too much, with 429. Files
    have bounds of their own, of the routes that write them to the disk as they come; what else stands in a form counts
    among all (`reserve_body`).

    Args:
        app: an ASGI application.
        longest: the bytes of a body.
    """
    held = _Held()
    too_long = BodyTooLong(
        f"the body is longer than {longest} bytes",
        hint="send files to POST /files first, or name them by a URL; API_BODY_BYTES is the server's bound",
    )

    too_much = _too_much()

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = _Body(held, longest * AT_ONCE)
        scope[_RELEASE], scope[_RESERVE] = body.release, body.reserve
        if _has_own_bounds(scope):
            try:
                await app(scope, receive, send)
            finally:
                body.release()
            return
        length = header(scope, "content-length")
        told = int(length) if length.isdigit() else 0
        if told > longest:
            await _refuse(receive, send, too_long, longest)
            return
        # Room for all of it before any of it is read: else many would come half way, and none to the end.
        if not body.reserve(told):
            await _refuse(receive, send, too_much, longest, {"Retry-After": "2"})
            return

        async def counted() -> Message:
            message = await receive()
            if body.refused:
                return message
            body.came += len(message.get("body", b""))
            if body.came > longest:
                body.refused = True
                await _refuse(receive, send, too_long, longest)
                return {"type": "http.disconnect"}
            if not body.reserve(body.came):
                body.refused = True
                await _refuse(receive, send, too_much, longest, {"Retry-After": "2"})
                return {"type": "http.disconnect"}
            return message

        async def unless_refused(message: Message) -> None:
            if not body.refused:
                await send(message)

        try:
            await app(scope, counted, unless_refused)
        finally:
            body.release()

    return bounded


def reserve_body(request: Request, size: int) -> None:
    """Count what is held of a form among the bodies of all requests.

    Args:
        request: that it is of.
        size: all that is held of it, in bytes.

    Raises:
        TooManyRequests: with it they are too much.
    """
    reserve: Callable[[int], bool] | None = request.scope.get(_RESERVE)
    if reserve and not reserve(size):
        raise _too_much()


def release_body(request: Request) -> None:
    """Say that the body of a request is done with, though its answer may take a while."""
    release: Callable[[], Any] | None = request.scope.get(_RELEASE)
    if release:
        release()


def _too_much() -> TooManyRequests:
    return TooManyRequests("too much is sent at once", hint="send the request again in a few seconds")


async def _refuse(
    receive: Receive, send: Send, error: EngineError, longest: int, headers: Mapping[str, str] | None = None
) -> None:
    """Answer, and only then hang up: a caller that still sends would lose the answer with the connection.

    What comes meanwhile is thrown away, up to a bound.
    """
    start, body = failure_messages(error, {"Connection": "close", **(headers or {})})
    await send(start)
    await send({**body, "more_body": True})
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while size <= longest:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
    await send({"type": "http.response.body", "body": b""})


def _has_own_bounds(scope: Scope) -> bool:
    """Whether its route takes files."""
    if scope["method"] != "POST":
        return False
    path = scope["path"]
    if path == "/files":
        return True
    return bool(_FORMS.fullmatch(path)) and header(scope, "content-type").lower().startswith("multipart/form-data")
