"""The bodies of requests, read within bounds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from engine.documents import parse_json
from engine.errors import EngineError, InvalidMap
from engine.server.body_bounds import reserve_body
from engine.server.problems import BodyTooLong, NotJson, UnknownForm

_MOST_FIELDS = 1000
_MOST_FILES = 100
_LARGE_BYTES = 64 * 1024  # a longer text is read as JSON in a thread

JSON, MULTIPART, URLENCODED = "application/json", "multipart/form-data", "application/x-www-form-urlencoded"

Fields = list[tuple[str, str | UploadFile]]
"""Of a form: names with texts and files, in the order they came."""


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters and in small letters; empty where nothing is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def chunks(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes.

    Raises:
        BodyTooLong: it is longer than that, or says so.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise _too_long(most_bytes)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise _too_long(most_bytes)
        yield chunk


async def body_of(request: Request, most_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLong: it is longer than that.
    """
    return b"".join([chunk async for chunk in chunks(request, most_bytes)])


async def json_of(request: Request, most_bytes: int) -> Any:
    """The body as JSON; an empty one is an empty object.

    Raises:
        BodyTooLong: it is longer than that.
        NotJson: it is none.
        UnknownForm: it says that it is something else.
    """
    kind = media_type(request)
    is_other = kind not in ("", JSON) and not kind.endswith("+json")
    if is_other and kind != URLENCODED:
        raise UnknownForm(f"the body is {kind[:100]}", hint=f"send {JSON}")
    body = await body_of(request, most_bytes)
    if is_other and not is_json(body):
        raise UnknownForm(f"the body is {kind[:100]}", hint=f"send {JSON}")
    return await parsed(body)


def is_json(body: bytes) -> bool:
    """Whether a body that is said to be a form is JSON, as of `curl -d '{…}'`; a form has no brace as it is."""
    return body.lstrip().startswith(b"{")


async def parsed(body: bytes) -> Any:
    """A body as JSON; an empty one is an empty object.

    Raises:
        NotJson: it is none.
    """
    return await document_in(body) if body.strip() else {}


async def document_in(body: bytes, hint: str | None = None) -> Any:
    """The JSON in a body.

    Args:
        body: UTF-8, with or without a byte order mark.
        hint: for whoever sent something else.

    Raises:
        NotJson: it is none.
    """
    return await run_in_threadpool(_parsed, body, hint) if len(body) > _LARGE_BYTES else _parsed(body, hint)


def _parsed(body: bytes, hint: str | None) -> Any:
    try:
        return parse_json(body.decode("utf-8-sig"), label="the body")
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 text (byte {error.start})"
        raise NotJson(message, hint=hint or "send JSON as UTF-8") from error
    except InvalidMap as error:
        raise NotJson("; ".join(map(str, error.problems)), hint=hint) from None


def urlencoded(body: bytes) -> Fields:
    """The fields of a form without files.

    Raises:
        NotJson: it is no form.
    """
    try:
        text = body.decode("ascii")
        return [*parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)]
    except ValueError as error:
        raise NotJson(f"the body is no form: {error}") from error


@contextlib.asynccontextmanager
async def multipart_of(request: Request, *, most_bytes: int, most_text_bytes: int) -> AsyncIterator[Fields]:
    """The fields and files of a form, within the block; files lie on disk, but for short ones.

    Args:
        request: whose body it is.
        most_bytes: of the whole.
        most_text_bytes: of the fields that are no files, together.

    Raises:
        BodyTooLong: it is longer than that.
        NotJson: it is no form.
        TooManyRequests: with it all requests hold too much.
    """
    parser = _Form(request, chunks(request, most_bytes), most_text_bytes)
    try:
        form = await parser.parse()
        if not parser.ended:
            await form.close()
            raise NotJson("the form is cut off: its last boundary is missing")
    except MultiPartException as error:
        raise NotJson(f"the body is no form: {error.message}") from error
    except (ClientDisconnect, EngineError):
        raise
    except ValueError as error:  # a header that is none, a boundary that is too long
        raise NotJson("the body is no form") from error
    try:
        yield form.multi_items()
    finally:
        await form.close()


class _Form(MultiPartParser):
    """What its base (Starlette 1.10) does not look at: whether the form was whole, and how much of it is held."""

    spool_max_size = 64 * 1024

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None], most_text_bytes: int) -> None:
        bounds: dict[str, int] = {"max_files": _MOST_FILES, "max_fields": _MOST_FIELDS}
        super().__init__(request.headers, stream, max_part_size=most_text_bytes + 1, **bounds)
        self.ended = False
        self._request = request
        self._most_text_bytes = most_text_bytes
        self._text_bytes = 0

    def on_end(self) -> None:
        self.ended = True

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self._text_bytes += end - start
            if self._text_bytes > self._most_text_bytes:
                raise BodyTooLong(
                    f"the fields of the form that are no files have more than {self._most_text_bytes} bytes"
                )
            reserve_body(self._request, self._text_bytes)
        super().on_part_data(data, start, end)


def _too_long(most_bytes: int) -> BodyTooLong:
    return BodyTooLong(f"the body has more than the {most_bytes} bytes that are taken")
