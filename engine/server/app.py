"""The local server as an ASGI application."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

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

_GO_ON = ("/events", "/stream/{job_id}")


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
        app.include_router(_with_heads(routes.router(context)))
    app.router.routes.append(mcp)
    secure(app, context)
    return app


def _with_heads(router: APIRouter) -> APIRouter:
    """A router that can be asked with HEAD for what it gives (RFC 9110, 9.1), but for what goes on as it is read."""
    for route in router.routes:
        if isinstance(route, APIRoute) and not route.path.endswith(_GO_ON):
            route.methods = {*(route.methods or ()), *(["HEAD"] if "GET" in (route.methods or ()) else [])}
    return router
