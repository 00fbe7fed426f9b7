"""Serves MCP over HTTP, below an ASGI application of ours."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from engine.mcp.protocol import Protocol

_MOST_SESSIONS = 256
_IDLE_SECONDS = 30 * 60


class WebEndpoint:
    """An ASGI endpoint of streamable HTTP, with sessions: a call can be cancelled, and changes are told.

    Hosts, origins and tokens are looked at by the application around it.

    Args:
        protocol: answers.
        most_body_bytes: the longest body of a request.
    """

    def __init__(self, protocol: Protocol, *, most_body_bytes: int) -> None:
        self._manager = StreamableHTTPSessionManager(
            protocol.server,
            max_request_body_size=most_body_bytes,
            max_sessions=_MOST_SESSIONS,
            session_idle_timeout=_IDLE_SECONDS,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._manager.handle_request(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Has to be entered around the application's life, once."""
        return self._manager.run()
