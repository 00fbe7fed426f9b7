"""Files that callers send, and the results of jobs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from engine.errors import InvalidRequest, Problem
from engine.media.sniff import HEAD_BYTES, content_type
from engine.server import bodies
from engine.server.answers import json_response
from engine.server.context import ServerContext
from engine.server.links import is_signed
from engine.server.problems import Unauthorized, UnknownFile
from engine.server.uploads import Upload, Uploads, uploads_of
from engine.wording import did_you_mean

_NO_SCRIPT = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""For a file that is opened as a page: it may show itself, and do nothing."""


def router(context: ServerContext) -> APIRouter:
    """`/files`, and `/jobs/ID/files/…`.

    Args:
        context: what the routes share.
    """
    uploads = uploads_of(context)
    routes = APIRouter()

    @routes.post("/files")
    async def send(request: Request) -> Response:
        is_form = bodies.media_type(request) == bodies.MULTIPART
        kept = await (_form(request, uploads) if is_form else _raw(request, uploads))
        return json_response({"files": [each.as_dict() for each in kept]}, 201)

    @routes.get("/files/{name}")
    async def sent(name: str, request: Request) -> Response:
        path = await run_in_threadpool(uploads.find, name)
        if path is None:
            near = did_you_mean(name[:100], await run_in_threadpool(uploads.names))
            raise UnknownFile(f"there is no file of that name that was sent here, or it is no longer kept{near}")
        kind = await run_in_threadpool(_kind_of, path)
        return _file(path, name, kind, request)

    @routes.get("/jobs/{job_id}/files/{number}/{filename}")
    async def result(job_id: str, number: str, filename: str, request: Request) -> Response:
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise UnknownFile("a result is asked for by its number")
        signature = request.query_params.get("signature")
        if signature is not None and not is_signed(context.secret, job_id, int(number), signature):
            raise Unauthorized("the signature of the link is not right", hint="take the link as the job gives it")
        kept = await run_in_threadpool(context.queue.file, job_id, int(number))
        path = Path(kept.path)
        if path.name != filename:
            raise UnknownFile("the job has no such file", hint="take the link as the job gives it")
        if not await run_in_threadpool(path.is_file):
            raise UnknownFile("the result is no longer there: its file was moved or removed")
        return _file(path, filename, kept.content_type, request)

    return routes


async def _form(request: Request, uploads: Uploads) -> list[Upload]:
    most = uploads.most_bytes + 100_000  # what surrounds the file
    kept = []
    async with bodies.multipart_of(request, most_bytes=most, most_field_bytes=1000) as fields:
        wrong = [name for name, value in fields if name != "file" or not isinstance(value, UploadFile)]
        if wrong or not fields:
            names = dict.fromkeys(name[:64] or "(no name)" for name in wrong)
            problems = [Problem(name, "is not a file called `file`") for name in names]
            hint = "send each file as a part of the form called `file`: curl -F file=@cat.png …/files"
            raise InvalidRequest("" if problems else "the form holds no file", problems=problems, hint=hint)
        for _, value in fields:
            if isinstance(value, UploadFile):
                kept.append(await run_in_threadpool(uploads.keep, value.file, value.filename or "file"))
    return kept


async def _raw(request: Request, uploads: Uploads) -> list[Upload]:
    name = request.query_params.get("name", "").strip()
    if not name:
        hint = "curl --data-binary @cat.png '…/files?name=cat.png', or as a form: curl -F file=@cat.png …/files"
        raise InvalidRequest(problems=[Problem("name", "is missing: the file's own name, in the query")], hint=hint)
    receiving = uploads.receive()
    part = await run_in_threadpool(receiving.__enter__)
    try:
        async for chunk in bodies.chunks(request, uploads.most_bytes):
            await run_in_threadpool(part.write, chunk)
        return [await run_in_threadpool(part.finish, name)]
    finally:
        await run_in_threadpool(receiving.__exit__, None, None, None)


def _kind_of(path: Path) -> str:
    with path.open("rb") as file:
        return content_type(file.read(HEAD_BYTES), path.name)


def _file(path: Path, filename: str, kind: str, request: Request) -> Response:
    """A file, whole or in ranges. What a browser could run as a page is only ever saved."""
    plain = kind.partition(";")[0]
    shown = plain.startswith(("image/", "video/", "audio/")) and plain != "image/svg+xml"
    inline = (shown or plain == "text/plain") and request.query_params.get("download") not in ("1", "true")
    headers = {
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=utf-8''{quote(filename, safe='')}",
        "Content-Security-Policy": _NO_SCRIPT,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return FileResponse(path, media_type=kind, headers=headers)
