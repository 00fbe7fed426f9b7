"""A file on a web server of the tests, as sites of models serve theirs: in parts, with an ETag, and breaking off."""

from __future__ import annotations

import hashlib
import random
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from support.workflows import sampler_graph, write_workflow

CONTENT = random.Random(7).randbytes(1024 * 1024)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@dataclass
class Shelf:
    """Answers requests for one file.

    Attributes:
        content: of the file.
        etag: empty for none.
        ranges: whether parts are served; if not, the whole file is whatever was asked.
        cuts: for each request in turn, after how many bytes of the body the connection is closed.
        pause_at: after so many bytes of the body it waits for `go`.
        length: the length that is told; None for that of the content, 0 for none at all.
        headers: more of them.
        asked: the Range of each request, empty where there was none.
    """

    content: bytes = CONTENT
    etag: str = '"v1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    pause_at: int | None = None
    length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        cut = self.cuts.pop(0) if self.cuts else None
        start = self._start(wanted, handler.headers.get("If-Range"))
        if start is not None and start >= len(self.content):
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.content[start or 0 :]
        handler.send_response(200 if start is None else 206)
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        length = len(body) if self.length is None else self.length
        more = {"Content-Length": str(length)} if length else {}
        for name, value in ({"ETag": self.etag} | more | self.headers).items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        self._send(handler, body if cut is None else body[:cut])
        handler.close_connection = True

    def _start(self, wanted: str, if_range: str | None) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        if not found or not self.ranges or (if_range is not None and if_range != self.etag):
            return None
        return int(found[1])

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.pause_at is not None and len(body) > self.pause_at:
            handler.wfile.write(body[: self.pause_at])
            while not self.go.wait(0.02) and not handler.server.stopping.is_set():
                pass
            body = body[self.pause_at :]
        handler.wfile.write(body)


def write_models(folder, *models, name="poster"):
    """A workflow that needs models; gives the folder."""
    return write_workflow(folder, name, sampler_graph(), {"parameters": {}, "requires": {"models": list(models)}})
