"""What an ASGI application is, and the answers that are given before one is asked."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from engine.errors import EngineError
from engine.replies import failure_reply
from engine.server.problems import status_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: str) -> str:
    """A header of a request; empty where there is none.

    Args:
        scope: the request.
        name: in small letters.
    """
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), "")


async def refuse(send: Send, error: EngineError, headers: Mapping[str, str] | None = None) -> None:
    """Answer with a failure's document.

    Args:
        send: of the request.
        error: why.
        headers: further ones, such as `Retry-After`.
    """
    for message in failure_messages(error, headers):
        await send(message)


def failure_messages(error: EngineError, headers: Mapping[str, str] | None = None) -> tuple[Message, Message]:
    """A failure's document as the two messages of an answer: its begin, and its body.

    Args:
        error: why.
        headers: further ones.
    """
    body = json.dumps(failure_reply(error)).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in told.items()]
    start = {"type": "http.response.start", "status": status_of(error), "headers": raw}
    return start, {"type": "http.response.body", "body": body}
