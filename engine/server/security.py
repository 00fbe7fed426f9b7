"""Who is let in, and what every answer says to browsers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from engine.errors import EngineError
from engine.logs import about, event
from engine.server.asgi import App, Message, Receive, Scope, Send, header, refuse
from engine.server.body_bounds import with_bounds
from engine.server.context import ServerContext
from engine.server.links import opens
from engine.server.names import origins_of, with_own_names, with_own_pages
from engine.server.patience import Patience, with_patience
from engine.server.rates import with_rate
from engine.server.tokens import with_token
from engine.settings import Settings

log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; style-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_MCP_HEADERS = ("mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name")
"""https://modelcontextprotocol.io/specification/draft/basic/transports#streamable-http"""


def secure(app: FastAPI, context: ServerContext) -> None:
    """Put every bound around an application.

    Args:
        app: the routes.
        context: the settings that say who may call, and what links are signed with.
    """
    settings = context.settings
    layers: list[Callable[[App], App]] = [
        with_headers,
        lambda inner: with_own_names(inner, settings),
        lambda inner: _with_other_sites(inner, settings),
        lambda inner: with_rate(inner, settings.api_rate) if settings.api_rate else inner,
        lambda inner: with_own_pages(inner, origins_of(settings)),
        lambda inner: with_token(inner, settings.api_token, _link_of(context)) if settings.api_token else inner,
        lambda inner: with_patience(inner, Patience()),
        lambda inner: with_bounds(inner, settings.api_body_bytes),
        without_crashes,
    ]
    for layer in reversed(layers):  # the one that was added last is asked first
        app.add_middleware(_Layer, layer=layer)


class _Layer:
    """One bound, as Starlette adds them."""

    def __init__(self, app: App, layer: Callable[[App], App]) -> None:
        self._app = layer(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def with_headers(app: App) -> App:
    """The application, whose answers tell browsers what they may do with them; API answers are kept by none."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [(name, value) for name, value in _HEADERS if name not in there]
                if b"cache-control" not in there:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, headed if scope["type"] == "http" else send)

    return told


def without_crashes(app: App) -> App:
    """The application, of whose errors callers hear nothing but that there was one; the log has it."""

    async def caught(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            await app(scope, receive, noted)
        except ClientDisconnect:  # the caller has gone, or its body was refused while it was read
            return
        except Exception:  # noqa: BLE001 - the outermost edge of a request
            with about(request=header(scope, "x-request-id")[:64] or None):
                event(log, logging.ERROR, "a request failed", exc_info=True, method=scope["method"], path=scope["path"])
            if not begun:
                await refuse(send, EngineError(hint="ask the operator, who finds the cause in the log"))

    return caught


def _with_other_sites(app: App, settings: Settings) -> App:
    if not settings.api_cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins_of(settings),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "last-event-id", *_MCP_HEADERS],
        expose_headers=["x-job-id", "location", "retry-after", "mcp-session-id"],
    )


def _link_of(context: ServerContext) -> Callable[[Scope], bool]:
    def is_signed(scope: Scope) -> bool:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return opens(context.secret, scope["path"], query.get("signature", [""])[0])

    return is_signed
