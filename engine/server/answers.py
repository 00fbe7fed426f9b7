"""Failures as the routes answer them, whoever found them out."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from engine.errors import EngineError, InvalidRequest, Problem
from engine.logs import event
from engine.replies import failure_reply
from engine.server.problems import NoSuchPage, NotJson, UnknownForm, WrongMethod, status_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""After which a queue that is full, or a ComfyUI that starts, is asked again."""

_OF_STATUS: dict[int, type[EngineError]] = {400: NotJson, 404: NoSuchPage, 405: WrongMethod, 415: UnknownForm}


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A document as JSON; halves of characters, which UTF-8 has no bytes for, are written as escapes."""
    body = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return Response(body, status, dict(headers or {}), "application/json")


def failure_response(error: EngineError, headers: Mapping[str, str] | None = None) -> Response:
    """A failure's document, with the status of its class, and `Retry-After` where it is too much or too early.

    Args:
        error: why.
        headers: further ones.
    """
    status = status_of(error)
    told = dict(headers or {})
    if status in {429, 503} and error.retryable:
        told.setdefault("Retry-After", str(RETRY_SECONDS))
    return json_response(failure_reply(error), status, told)


def handle_failures(app: FastAPI) -> None:
    """Have an application answer every failure with its document."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, EngineError)  # noqa: S101 - Starlette calls it for no other
        if error.detail:  # what callers are not told, such as which disk is full
            asked: dict[str, Any] = {"method": request.method, "path": request.url.path}
            event(log, logging.ERROR, "a request failed", error=str(error), detail=error.detail, **asked)
        return failure_response(error)

    async def unfit(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - likewise
        found = [
            Problem(
                ".".join(str(each) for each in item["loc"] if each not in {"query", "path", "body"}),
                item["msg"].replace("Input should", "must", 1),
            )
            for item in error.errors()
        ]
        return failure_response(InvalidRequest(problems=found))

    async def of_status(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - likewise
        kind = _OF_STATUS.get(error.status_code)
        path = request.url.path[:200]
        if kind is NoSuchPage:
            failure: EngineError = NoSuchPage(f"there is nothing at {path}", hint="/docs shows all that there is")
        elif kind is WrongMethod:
            allowed = ", ".join(_allowed(request))
            failure = WrongMethod(f"{request.method} is not what {path} is asked with", hint=f"use {allowed}")
            return failure_response(failure, {"Allow": allowed})
        else:
            failure = (kind or InvalidRequest)(str(error.detail))
        return json_response(failure_reply(failure), error.status_code, error.headers)

    app.add_exception_handler(EngineError, ours)
    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(HTTPException, of_status)


def _allowed(request: Request) -> list[str]:
    """The methods that an address is asked with: of all its routes, of which Starlette names the first one's."""
    methods: set[str] = set()
    waiting = [*request.app.routes]
    while waiting:
        route = waiting.pop()
        if included := getattr(route, "original_router", None):  # FastAPI (0.165) keeps routers as they were made
            waiting += included.routes
        elif route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)
