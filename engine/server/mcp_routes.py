"""`/mcp`: the workflows as tools of agents, over streamable HTTP; `engine.mcp` does it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.errors import UsageError
from engine.mcp import INSTALL, NOT_INSTALLED, is_installed
from engine.replies import failure_reply
from engine.server.answers import json_response
from engine.server.context import ServerContext
from engine.server.links import base_url, shows_paths, with_base

PATH = "/mcp"

Running = Callable[[], AbstractAsyncContextManager[None]]


def route(context: ServerContext) -> tuple[Route, Running]:
    """The route, and what has to be entered around the application's life, once.

    Where the library is not installed it answers 501, and says what to install.

    Args:
        context: what the routes share.
    """
    if not is_installed():
        return Route(PATH, _not_installed, methods=["GET", "POST", "DELETE"]), contextlib.nullcontext
    from engine.mcp.protocol import Options, Protocol
    from engine.mcp.queueing import QueueCalls
    from engine.mcp.tools import Tools
    from engine.mcp.web import WebEndpoint

    settings = context.settings
    calls = QueueCalls(context.queue, functools.partial(with_base, paths=shows_paths(settings)))
    options = Options(
        simulated=context.simulated,
        in_bucket=context.runner.results_in_bucket,
        base_url=lambda request: base_url(request, settings),
    )
    protocol = Protocol(Tools(context.runner, calls.media), calls, options)
    endpoint = WebEndpoint(protocol, most_body_bytes=settings.api_body_bytes)
    return Route(PATH, endpoint), endpoint.running


async def _not_installed(_: Request) -> Response:
    return json_response(failure_reply(UsageError(NOT_INSTALLED, hint=INSTALL)), 501)
