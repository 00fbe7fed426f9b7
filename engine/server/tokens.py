"""The token, which whoever calls a server on more than loopback has to send."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

from engine.server.asgi import App, Receive, Scope, Send, header, refuse
from engine.server.problems import Unauthorized

_OPEN = frozenset({"/", "/docs", "/favicon.ico"})
_OPEN_BELOW = ("/assets/", "/docs/")
_ABOUT = "/server"


def with_token(app: App, token: str, is_signed: Callable[[Scope], bool]) -> App:
    """The application, for those alone who send the token.

    Pages, whose scripts ask for the token, are open, and so are results whose link is signed.

    Args:
        app: an ASGI application.
        token: what `Authorization: Bearer` must carry.
        is_signed: whether a request's own link opens what it asks for.
    """
    expected = token.encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # there are none
            return
        if scope["type"] != "http" or _sends(scope, expected) or _is_open(scope) or is_signed(scope):
            await app(scope, receive, send)
        elif scope["path"] == _ABOUT and scope["method"] == "GET":
            await _ask(send)
        else:
            error = Unauthorized(
                "send the header Authorization: Bearer TOKEN, with the token of API_TOKEN",
                hint="whoever runs the server knows it",
            )
            await refuse(send, error, {"WWW-Authenticate": "Bearer"})

    return guarded


def _sends(scope: Scope, expected: bytes) -> bool:
    scheme, _, rest = header(scope, "authorization").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(rest.strip().encode("latin-1"), expected)


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    return scope["method"] in {"GET", "HEAD"} and (path in _OPEN or path.startswith(_OPEN_BELOW))


async def _ask(send: Send) -> None:
    """All that `GET /server` tells to those without a token."""
    body = json.dumps({"token_needed": True}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
