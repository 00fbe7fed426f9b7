"""The local API: RunPod's routes on this machine, behind a token.

The RunPod SDK's own development server answers (runpod 1.12, rp_fastapi.py): POST /run, /runsync and /status/ID. `/run`
only stores a job, and the first /status runs it; there is no cancel.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from engine.errors import Problem, SettingsError
from engine.logs import event
from engine.settings import Settings

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_REFUSAL = b'{"error": "unauthorized: send the header Authorization: Bearer TOKEN, with the token of API_TOKEN"}'


def bound(settings: Settings) -> socket.socket:
    """Take the address that the local API is to listen on; nobody can connect before it does.

    Args:
        settings: API_HOST and API_PORT. Nobody's GPU is to be open to the world by accident, so on anything but
            loopback there must be an API_TOKEN.

    Raises:
        SettingsError: there is no token where one is needed, or the address is taken, or none of this machine.
    """
    if not settings.api_token and not _is_loopback(settings.api_host):
        raise SettingsError(
            problems=[Problem("API_TOKEN", f"is needed where API_HOST is {settings.api_host}: anybody could run jobs")],
            hint="set API_TOKEN to a long random text (openssl rand -hex 32), which callers send as their bearer "
            "token; or leave API_HOST at 127.0.0.1",
        )
    try:
        found = socket.getaddrinfo(
            settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart, too
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        problem = f"{settings.api_host} port {settings.api_port} can't be listened on: {error.strerror or error}"
        raise SettingsError(
            problems=[Problem("API_PORT", problem)], hint="choose another port, or end what listens there"
        ) from error
    return listener


def serve(
    handler: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], settings: Settings, listener: socket.socket
) -> None:
    """Answer requests until the process is told to end; those that run may then finish for DRAIN_SECONDS.

    Args:
        handler: answers one job.
        settings: API_TOKEN, DRAIN_SECONDS.
        listener: from `bound`.
    """
    import uvicorn
    from runpod.serverless.modules.rp_fastapi import WorkerAPI

    app = WorkerAPI({"handler": handler, "rp_args": {}}).rp_app
    event(log, logging.INFO, "the local API listens", url=f"http://{settings.api_host}:{settings.api_port}")
    server = uvicorn.Server(
        uvicorn.Config(
            with_token(app, settings.api_token) if settings.api_token else app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
    )
    server.run([listener])


def with_token(app: App, token: str) -> App:
    """The application, for those alone who send the token.

    Args:
        app: an ASGI application.
        token: what `Authorization: Bearer` must carry.
    """
    expected = f"Bearer {token}".encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if not hmac.compare_digest(sent, expected):
                headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": _REFUSAL})
                return
        await app(scope, receive, send)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
