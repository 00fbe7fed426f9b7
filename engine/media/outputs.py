"""From what ComfyUI says it made to described results."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import ExecutionFailed
from engine.media import facts, sniff
from engine.results import OutputFile, RawOutput

_CHUNK_BYTES = 1024 * 1024


def describe(raw: RawOutput, path: Path | None) -> OutputFile:
    """Describes one result by its bytes.

    Args:
        raw: what ComfyUI's history says of it.
        path: the file on this machine; None for a text.

    Returns:
        The result with its type, length and hash and, as far as its headers tell, the size of a picture or video,
        and how long a video, sound or animation lasts. A broken file is described like any: whether it is good
        enough is not decided here. Nothing is decoded.

    Raises:
        ExecutionFailed: the file is not there or can't be read.
    """
    if path is None:
        return _described_text(raw)
    digest, size_bytes, head = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                head = head or chunk[: sniff.HEAD_BYTES]
                digest.update(chunk)
                size_bytes += len(chunk)
    except OSError as error:
        raise ExecutionFailed(
            f"ComfyUI reported the file {raw.filename}, but it can't be read", detail=str(error)
        ) from error
    content_type = sniff.content_type(head, raw.filename or path.name)
    known = facts.read(path, content_type)
    return OutputFile(
        name=raw.name,
        index=raw.index,
        kind=raw.kind,
        node_id=raw.node_id,
        filename=raw.filename or path.name,
        path=path,
        content_type=content_type,
        size_bytes=size_bytes,
        sha256=digest.hexdigest(),
        width=known.width,
        height=known.height,
        duration_seconds=known.duration_seconds,
        fps=known.fps,
        text=raw.text,
    )


def _described_text(raw: RawOutput) -> OutputFile:
    # A node may give lone surrogates, which UTF-8 does not hold.
    content = (raw.text or "").encode(errors="replace")
    return OutputFile(
        name=raw.name,
        index=raw.index,
        kind=raw.kind,
        node_id=raw.node_id,
        filename=raw.filename,
        path=None,
        content_type="text/plain",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        text=content.decode(),
    )
