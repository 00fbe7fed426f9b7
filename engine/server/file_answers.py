"""Files as they are answered with: whole or in ranges, and never so that a browser runs them as a page of ours."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import FileResponse

from engine.server.asgi import Message, Receive, Scope, Send, failure_messages, header
from engine.server.problems import NoSuchRange

_NO_SCRIPT = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""For a file that is opened as a page: it may show itself, and do nothing."""

_RANGE = re.compile(r"\s*(?:([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18})\s*")


def file_answer(path: Path, filename: str, kind: str, *, download: bool) -> Response:
    """A file, whole or in ranges. What a browser could run as a page is only ever saved.

    Args:
        path: where it lies.
        filename: under which it is saved.
        kind: its media type.
        download: have it saved, also where it could be shown.
    """
    plain = kind.partition(";")[0]
    shown = plain.startswith(("image/", "video/", "audio/")) and plain != "image/svg+xml"
    inline = (shown or plain == "text/plain") and not download
    headers = {
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; filename*=utf-8''{quote(filename, safe='')}",
        "Content-Security-Policy": _NO_SCRIPT,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return _File(path, media_type=kind, headers=headers)


def is_range(text: str) -> bool:
    """Whether a header `Range` can be followed; others are to be ignored (RFC 9110, 14.2)."""
    unit, _, ranges = text.partition("=")
    found = [_RANGE.fullmatch(each) for each in ranges.split(",")]
    in_order = all(each and not (each[1] and each[2] and int(each[2]) < int(each[1])) for each in found)
    return unit.strip().lower() == "bytes" and in_order


class _File(FileResponse):
    """As Starlette's, but for ranges that are none or that it has not: those are plain text there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_range(header(scope, "range")):
            scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != b"range"]}
        refused = False

        async def told(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 416:
                refused = True
                size = next(value.decode() for name, value in message["headers"] if name == b"content-range")
                error = NoSuchRange(f"the file has {size.rpartition('/')[2]} bytes: it has no such range")
                for each in failure_messages(error, {"Content-Range": size}):
                    await send(each)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, told)
