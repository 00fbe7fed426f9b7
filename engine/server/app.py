"""The local server as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from engine.server.context import ServerContext


def create_app(context: ServerContext) -> FastAPI:
    """The application; each module of routes gives a router of its own.

    Args:
        context: what the routes share.
    """
    # The document of the API is ours (`engine.server.openapi`), and so is the page that shows it.
    app = FastAPI(title="ComfyUI workflows", openapi_url=None, docs_url=None, redoc_url=None)
    # app.include_router(platform_routes.router(context)); likewise of the others
    return app
