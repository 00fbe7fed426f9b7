"""The server's own pages, and what they ask about it first."""

from __future__ import annotations

import asyncio
import importlib.metadata
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from engine.errors import ComfyUnavailable
from engine.server.answers import json_response
from engine.server.context import ServerContext
from engine.server.problems import NoSuchPage

_PLAYGROUND = Path(__file__).parent / "playground"
_VIEWER = Path(__file__).parent / "viewer"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_SIMULATOR = "simulator"
_FRESH = {"cache-control": "no-cache"}
"""Asked about each time, by their ETag: an update shows at once."""


def router(context: ServerContext) -> APIRouter:
    """The pages at `/` and `/docs` with their files, and `GET /server`.

    Args:
        context: what the routes share.
    """
    routes = APIRouter()
    # A list, made once: nothing else of the disk can be asked for, whatever an address holds.
    assets = {each.relative_to(_PLAYGROUND).as_posix(): each for each in _files(_PLAYGROUND)}
    viewer = {each.relative_to(_VIEWER).as_posix(): each for each in _files(_VIEWER)}

    @routes.get("/", include_in_schema=False)
    async def playground(request: Request) -> Response:
        return _file(request, assets, "index.html")

    @routes.get("/assets/{path:path}", include_in_schema=False)
    async def asset(request: Request, path: str) -> Response:
        return _file(request, assets, path)

    @routes.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> Response:
        return _file(request, viewer, "index.html")

    @routes.get("/docs/{path:path}", include_in_schema=False)
    async def of_reference(request: Request, path: str) -> Response:
        return _file(request, viewer, path)

    @routes.get("/server", include_in_schema=False)
    async def server() -> Response:
        """What the pages show of this server."""
        return json_response(await asyncio.to_thread(_about, context))

    return routes


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [each for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix in _TYPES]


def _file(request: Request, files: dict[str, Path], path: str) -> Response:
    if path not in files:
        raise NoSuchPage("there is no such page", hint="/ is the playground, /docs the reference")
    file = files[path]
    answer = FileResponse(file, media_type=_TYPES[file.suffix], headers=_FRESH, stat_result=file.stat())
    tag = answer.headers["etag"]
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": tag, **_FRESH})
    return answer


def _about(context: ServerContext) -> dict[str, object]:
    settings = context.settings
    counts = context.queue.counts()
    comfyui = _SIMULATOR if context.simulated else _version(context)
    return {
        "version": importlib.metadata.version("comfyui-workflow-engine"),
        "comfyui": comfyui,
        "simulated": comfyui == _SIMULATOR,
        "workers": counts.workers,
        "token_needed": settings.api_token is not None,
        "limits": {
            "body_bytes": settings.api_body_bytes,
            "upload_bytes": settings.api_uploads_bytes,
            "waiting": settings.api_queue,
        },
        "storage": context.runner.default_mode,
    }


def _version(context: ServerContext) -> str | None:
    """ComfyUI's, or that it is a simulator (of this engine, at some URL); None while it does not answer."""
    if not context.runner.started:
        return None
    try:
        system = context.runner.system_stats().get("system", {})
    except ComfyUnavailable:
        return None
    if system.get("pytorch_version") == "simulated":
        return _SIMULATOR
    version = system.get("comfyui_version")
    return str(version)[:50] if version else None
