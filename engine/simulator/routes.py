"""The HTTP routes: what ComfyUI's server answers (0.3.64 and 0.8.0)."""

from __future__ import annotations

import ipaddress
import itertools
import json
import platform
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from engine.simulator import files
from engine.simulator.classes import MODEL_FOLDERS, Classes
from engine.simulator.executor import Executor
from engine.simulator.folders import Folders
from engine.simulator.jobs import SECRETS, Job, Jobs
from engine.simulator.sockets import Hub
from engine.simulator.validation import validate_prompt

LARGEST_UPLOAD = 100 * 1024 * 1024
_PAGE = (
    "<!doctype html><title>ComfyUI simulator</title><p>This is the simulator of ComfyUI: it speaks its API, "
    "but has no user interface, and what it makes is marked as simulated."
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def features(version: str) -> dict[str, Any]:
    """What a ComfyUI of that version says it can."""
    known: dict[str, Any] = {"supports_preview_metadata": True, "max_upload_size": LARGEST_UPLOAD}
    if _numbers(version) >= (0, 8):
        known["extension"] = {"manager": {"supports_v4": True}}
    return known


class Routes:
    """Answers requests about one queue."""

    def __init__(self, classes: Classes, folders: Folders, jobs: Jobs, hub: Hub, executor: Executor) -> None:
        self._classes, self._folders, self._jobs = classes, folders, jobs
        self._hub, self._executor = hub, executor
        self._mishaps = executor.mishaps
        self._numbers = itertools.count()
        self._version = classes.catalogue.version

    def application(self) -> web.Application:
        """The application: every route, and again under `/api`."""
        app = web.Application(client_max_size=LARGEST_UPLOAD, middlewares=[_own_origin_only, self._mishaps.on_the_way])
        routes = [
            web.get("/", self._root),
            web.get("/ws", self._websocket),
            web.get("/prompt", self._queue_info),
            web.post("/prompt", self._queue_prompt),
            web.get("/queue", self._queue),
            web.post("/queue", self._change_queue),
            web.post("/interrupt", self._interrupt),
            web.post("/free", self._free),
            web.get("/history", self._history),
            web.get("/history/{prompt_id}", self._history),
            web.post("/history", self._change_history),
            web.get("/object_info", self._object_info),
            web.get("/object_info/{class_type}", self._object_info),
            web.get("/system_stats", self._system_stats),
            web.get("/features", self._features),
            web.get("/models", self._models),
            web.get("/models/{folder}", self._model_files),
            web.get("/embeddings", self._embeddings),
            *files.routes(self._folders),
            *self._mishaps.routes(),
        ]
        app.add_routes(routes)
        app.add_routes([web.route(each.method, "/api" + each.path, each.handler) for each in routes])
        return app

    def status(self) -> dict[str, Any]:
        """What `status` messages say of the queue."""
        return queue_status(self._jobs.remaining())

    async def _root(self, _: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        return await self._hub.handle(request, self.status())

    async def _queue_info(self, _: web.Request) -> web.Response:
        return web.json_response(self.status())

    async def _queue_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        number: float
        if "number" in body:
            number = float(body["number"])
        else:
            number = next(self._numbers)
            if body.get("front"):
                number = -number
        if "prompt" not in body:
            text = "No prompt provided"
            error = {"type": "no_prompt", "message": text, "details": text, "extra_info": {}}
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        prompt_id = str(body.get("prompt_id", uuid.uuid4()))
        targets = body.get("partial_execution_targets")
        verdict = validate_prompt(body["prompt"], self._classes, self._folders, targets)
        if verdict.error is not None:
            answer = {"error": verdict.error, "node_errors": verdict.node_errors}
            return web.json_response(answer, status=400)
        extra_data = body.get("extra_data", {})
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        secrets = {key: extra_data.pop(key) for key in SECRETS if key in extra_data}
        if _numbers(self._version) >= (0, 8):
            extra_data["create_time"] = int(time.time() * 1000)
        if not self._mishaps.loses_prompt():
            self._jobs.put(Job(number, prompt_id, body["prompt"], extra_data, verdict.outputs, secrets))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})

    async def _queue(self, _: web.Request) -> web.Response:
        return web.json_response(self._jobs.listed())

    async def _change_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._jobs.clear()
        for prompt_id in body.get("delete", ()):
            self._jobs.delete(prompt_id)
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except json.JSONDecodeError:
            body = {}
        prompt_id = body.get("prompt_id")
        if self._mishaps.ignores_interrupt():
            return web.Response()
        if not prompt_id or self._jobs.is_running(prompt_id):
            self._executor.interrupt()
        return web.Response()

    async def _free(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("free_memory"):
            self._executor.forget()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info.get("prompt_id")
        if prompt_id is not None:
            return web.json_response(self._jobs.history(prompt_id))
        most, offset = request.query.get("max_items"), request.query.get("offset", "-1")
        return web.json_response(self._jobs.history(most=None if most is None else int(most), offset=int(offset)))

    async def _change_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self._jobs.forget()
        for prompt_id in body.get("delete", ()):
            self._jobs.forget(prompt_id)
        return web.Response()

    async def _object_info(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("class_type")
        names = list(self._classes) if wanted is None else [wanted]
        return web.json_response({name: self._classes.describe(name) for name in names if name in self._classes})

    async def _system_stats(self, _: web.Request) -> web.Response:
        memory = 16 * 1024**3
        system = {
            "os": sys.platform,
            "ram_total": memory,
            "ram_free": memory,
            "comfyui_version": self._version,
            "required_frontend_version": None,
            "installed_templates_version": None,
            "required_templates_version": None,
            "python_version": platform.python_version(),
            "pytorch_version": "simulated",
            "embedded_python": False,
            "argv": ["main.py"],
        }
        device = {
            "name": "simulated",
            "type": "cpu",
            "index": None,
            "vram_total": memory,
            "vram_free": memory,
            "torch_vram_total": memory,
            "torch_vram_free": memory,
        }
        return web.json_response({"system": system, "devices": [device]})

    async def _features(self, _: web.Request) -> web.Response:
        return web.json_response(features(self._version))

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(list(MODEL_FOLDERS))

    async def _model_files(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        if folder not in MODEL_FOLDERS:
            return web.Response(status=404)
        return web.json_response(self._classes.model_files(folder))

    async def _embeddings(self, _: web.Request) -> web.Response:
        return web.json_response([])


def queue_status(remaining: int) -> dict[str, Any]:
    """What `status` messages say of a queue with so many unfinished jobs."""
    return {"exec_info": {"queue_remaining": remaining}}


@web.middleware
async def _own_origin_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse what a page of another site sends to this machine, as ComfyUI does."""
    if "Host" in request.headers and "Origin" in request.headers:
        host = urlsplit("//" + request.headers["Host"].lower())
        origin = urlsplit(request.headers["Origin"].lower())
        ports_differ = host.port is not None and origin.port is not None and host.port != origin.port
        differs = host.hostname != origin.hostname or ports_differ
        if _is_loopback(host.hostname) and origin.hostname and differs:
            return web.Response(status=403)
    if request.method == "OPTIONS":
        return web.Response()
    return await handler(request)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
