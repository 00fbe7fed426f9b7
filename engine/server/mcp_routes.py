"""`/mcp`: the workflows as tools of agents, over streamable HTTP; `engine.mcp` does it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine.errors import UsageError
from engine.mcp import INSTALL, NOT_INSTALLED, is_installed
from engine.replies import failure_reply
from engine.server.context import ServerContext

PATH = "/mcp"

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
BaseUrl = Callable[[Request], str]
Shown = Callable[[dict[str, Any], str], dict[str, Any]]


def mount(app: FastAPI, context: ServerContext, *, base_url: BaseUrl, shown: Shown) -> Lifespan:
    """Add `/mcp` to the application. Where the library is not installed it answers 501, and says what to install.

    Hosts, origins and tokens are for the application's own middleware to look at.

    Args:
        app: the application.
        context: what the routes share.
        base_url: of this server, as whoever sent a request reaches it.
        shown: a reply as its caller may see it, with links that begin with that URL.

    Returns:
        What has to be entered around the application's life, once.
    """
    if not is_installed():
        app.router.routes.append(Route(PATH, _not_installed, methods=["GET", "POST", "DELETE"]))
        return contextlib.nullcontext
    from engine.mcp.protocol import Options, Protocol
    from engine.mcp.queueing import QueueCalls
    from engine.mcp.tools import Tools
    from engine.mcp.web import WebEndpoint

    calls = QueueCalls(context.queue, shown)
    in_bucket = context.settings.storage in ("s3", "gcs")
    options = Options(
        simulated=context.simulated,
        # A picture in a bucket is not on this machine: a small one comes with the reply.
        delivery={"thumbnail": 512} if in_bucket else {},
        base_url=base_url,
    )
    protocol = Protocol(Tools(context.runner, calls.media), calls, options)
    endpoint = WebEndpoint(protocol, most_body_bytes=context.settings.api_body_bytes)
    app.router.routes.append(Route(PATH, endpoint))
    return endpoint.running


async def _not_installed(_: Request) -> JSONResponse:
    return JSONResponse(failure_reply(UsageError(NOT_INSTALLED, hint=INSTALL)), status_code=501)
