"""Files that callers send, and the results of jobs."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from engine.errors import InvalidRequest, Problem
from engine.media.sniff import HEAD_BYTES, content_type
from engine.server import bodies
from engine.server.answers import failure_response, json_response
from engine.server.context import ServerContext
from engine.server.file_answers import file_answer
from engine.server.links import is_signed
from engine.server.problems import Unauthorized, UnknownFile
from engine.server.uploads import Upload, Uploads, uploads_of
from engine.text_values import BOOLEANS
from engine.wording import did_you_mean


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
        download = _download(request)
        path = await run_in_threadpool(uploads.find, name)
        if path is None:
            near = did_you_mean(name[:100], await run_in_threadpool(uploads.names))
            raise UnknownFile(f"there is no file of that name that was sent here, or it is no longer kept{near}")
        kind = await run_in_threadpool(_kind_of, path)
        return file_answer(path, name, kind, download=download)

    @routes.get("/jobs/{job_id}/files/{number}/{filename}")
    async def result(job_id: str, number: str, filename: str, request: Request) -> Response:
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise UnknownFile("a result is asked for by its number")
        download = _download(request)
        signature = request.query_params.get("signature")
        if signature is not None and not is_signed(context.secret, job_id, int(number), signature):
            error = Unauthorized("the signature of the link is not right", hint="take the link as the job gives it")
            return failure_response(error, {"WWW-Authenticate": "Bearer"})
        kept = await run_in_threadpool(context.queue.file, job_id, int(number))
        path = Path(kept.path)
        if path.name != filename:
            raise UnknownFile("the job has no such file", hint="take the link as the job gives it")
        if not await run_in_threadpool(path.is_file):
            raise UnknownFile("the result is no longer there: its file was moved or removed")
        return file_answer(path, filename, kept.content_type, download=download)

    return routes


async def _form(request: Request, uploads: Uploads) -> list[Upload]:
    most = uploads.most_bytes + 100_000  # what surrounds the file
    kept = []
    async with bodies.multipart_of(request, most_bytes=most, most_text_bytes=100_000) as fields:
        wrong = [name for name, value in fields if name != "file" or not isinstance(value, UploadFile)]
        if wrong or not fields:
            names = dict.fromkeys(name[:64] or "(no name)" for name in wrong)
            problems = [Problem(name, "is not a file called `file`") for name in names]
            hint = "send each file as a part of the form called `file`: curl -F file=@cat.png"
            raise InvalidRequest("" if problems else "the form holds no file", problems=problems, hint=hint)
        for _, value in fields:
            if isinstance(value, UploadFile):
                kept.append(await run_in_threadpool(uploads.keep, value.file, value.filename or "file"))
    return kept


async def _raw(request: Request, uploads: Uploads) -> list[Upload]:
    name = request.query_params.get("name", "").strip()
    if not name:
        hint = "post it to /files?name=cat.png (curl --data-binary @cat.png), or send a form (curl -F file=@cat.png)"
        raise InvalidRequest(problems=[Problem("name", "is missing: the file's own name, in the query")], hint=hint)
    receiving = uploads.receive()
    part = await run_in_threadpool(receiving.__enter__)
    try:
        async for chunk in bodies.chunks(request, uploads.most_bytes):
            await run_in_threadpool(part.write, chunk)
        return [await run_in_threadpool(part.finish, name)]
    finally:
        await run_in_threadpool(receiving.__exit__, None, None, None)


def _download(request: Request) -> bool:
    texts = request.query_params.getlist("download")
    if len(texts) > 1 or any(each.lower() not in BOOLEANS for each in texts):
        raise InvalidRequest(problems=[Problem("download", "must be 1 or 0, once")])
    return any(BOOLEANS[each.lower()] for each in texts)


def _kind_of(path: Path) -> str:
    with path.open("rb") as file:
        return content_type(file.read(HEAD_BYTES), path.name)
