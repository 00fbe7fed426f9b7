"""The local server as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from engine.server import (
    event_routes,
    file_routes,
    job_routes,
    mcp_routes,
    openapi,
    page_routes,
    platform_routes,
    workflow_routes,
)
from engine.server.answers import handle_failures
from engine.server.context import ServerContext
from engine.server.security import secure


def create_app(context: ServerContext) -> FastAPI:
    """The application; each module of routes gives a router of its own.

    Args:
        context: what the routes share.
    """
    # The document of the API is ours (`engine.server.openapi`), and so is the page that shows it.
    mcp, running = mcp_routes.route(context)
    app = FastAPI(
        title="ComfyUI workflows", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lambda _: running()
    )
    handle_failures(app)
    for routes in (platform_routes, workflow_routes, job_routes, event_routes, file_routes, openapi, page_routes):
        app.include_router(routes.router(context))
    app.router.routes.append(mcp)
    secure(app, context)
    return app
