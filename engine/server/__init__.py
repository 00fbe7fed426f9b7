"""The local API: RunPod's routes on this machine, behind a token.

The RunPod SDK's own development server answers (runpod 1.12, rp_fastapi.py): POST /run, /runsync and /status/ID. `/run`
only stores a job, and the first /status runs it; there is no cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import ipaddress
import logging
import math
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from engine.draining import Shutdown
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
    except (OSError, UnicodeError) as error:  # the latter of a host whose name can be none
        raise _not_bound(settings, error) from error
    return listener


def _not_bound(settings: Settings, error: OSError | UnicodeError) -> SettingsError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    problem = f"{settings.api_host} port {settings.api_port} can't be listened on: {why}"
    if isinstance(error, socket.gaierror | UnicodeError) or error.errno == errno.EADDRNOTAVAIL:
        hint = "give an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has"
        return SettingsError(problems=[Problem("API_HOST", problem)], hint=hint)
    hint = "choose another port, or end what listens there"
    return SettingsError(problems=[Problem("API_PORT", problem)], hint=hint)


def serve(
    handler: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    settings: Settings,
    listener: socket.socket,
    shutdown: Shutdown,
) -> None:
    """Answer requests until the process is told to end, and every job is answered.

    Args:
        handler: answers one job.
        settings: API_TOKEN, and API_HOST and API_PORT for the log.
        listener: from `bound`.
        shutdown: sees to the jobs when the process is told to end; the handler tells it of each.
    """
    import uvicorn
    from runpod.serverless.modules.rp_fastapi import WorkerAPI

    app = WorkerAPI({"handler": handler, "rp_args": {}}).rp_app
    event(log, logging.INFO, "the local API listens", url=_url(settings))

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the base class's
            """Take no more requests; a job that runs is ended as one of RunPod's is, and not with its connection."""
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                asyncio.get_running_loop().call_soon_threadsafe(shutdown.begin, signal.Signals(sig))
            self.should_exit = True

    server = Server(
        uvicorn.Config(
            with_token(app, settings.api_token) if settings.api_token else app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=math.ceil(shutdown.longest_seconds),
        )
    )
    server.run([listener])


def with_token(app: App, token: str) -> App:
    """The application, for those alone who send the token.

    Args:
        app: an ASGI application.
        token: what `Authorization: Bearer` must carry.
    """
    expected = token.encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            scheme, _, rest = sent.partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(rest.strip(), expected):
                headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": _REFUSAL})
                return
        await app(scope, receive, send)

    return guarded


def _url(settings: Settings) -> str:
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return f"http://{host}:{settings.api_port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
