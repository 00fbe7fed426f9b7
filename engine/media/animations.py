"""How long animated pictures last, by the parts of their files alone: no frame is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from engine.containers import BrokenContainer, Buffer, png, viewed, webp

_MOST_FRAMES = 10_000

Delays = Callable[[Buffer], Iterator[float]]


def duration_seconds(path: Path, content_type: str) -> float | None:
    """How long an animation takes once through.

    Args:
        path: the picture.
        content_type: its media type; GIF, PNG and WebP are read.

    Returns:
        Seconds, to the millisecond; None for a still picture, a file that breaks off, or one of more frames than
        are counted.
    """
    delays = _DELAYS.get(content_type)
    if delays is None:
        return None
    try:
        with viewed(path) as data:
            found = list(islice(delays(data), _MOST_FRAMES + 1))
    except (BrokenContainer, OSError, struct.error):
        return None
    return round(sum(found), 3) or None if 1 < len(found) <= _MOST_FRAMES else None


def _of_png(data: Buffer) -> Iterator[float]:
    """Of each fcTL chunk, a fraction (https://www.w3.org/TR/png-3/#fcTL-chunk)."""
    for chunk in png.chunks(data):
        if chunk.name == b"fcTL":
            numerator, denominator = struct.unpack(">HH", data[chunk.content.start + 20 : chunk.content.start + 24])
            yield numerator / (denominator or 100)


def _of_webp(data: Buffer) -> Iterator[float]:
    """Of each ANMF chunk, milliseconds in three bytes after the frame's place and size."""
    for chunk in webp.chunks(data):
        if chunk.name == b"ANMF":
            yield int.from_bytes(data[chunk.content.start + 12 : chunk.content.start + 15], "little") / 1000


def _of_gif(data: Buffer) -> Iterator[float]:
    """Of each frame, from the control block before it, in hundredths (GIF89a specification, section 23)."""
    if len(data) < 13:
        raise BrokenContainer("breaks off before its end")
    at, delay = 13 + _colours(data[10]), 0
    while at < len(data):
        kind = data[at]
        if kind == 0x3B:  # the end
            return
        if kind == 0x21:  # an extension
            if data[at + 1 : at + 3] == b"\xf9\x04":
                delay = int.from_bytes(data[at + 4 : at + 6], "little")
            at = _after_blocks(data, at + 2)
        elif kind == 0x2C and at + 11 <= len(data):  # a frame
            yield delay / 100
            delay = 0
            at = _after_blocks(data, at + 11 + _colours(data[at + 9]))
        else:
            raise BrokenContainer("has a part of no known kind")
    raise BrokenContainer("breaks off before its end")


def _colours(flags: int) -> int:
    """The bytes of the colour table that the flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: Buffer, at: int) -> int:
    """Where a chain of blocks, each with its length before it, has ended."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


_DELAYS: dict[str, Delays] = {"image/png": _of_png, "image/webp": _of_webp, "image/gif": _of_gif}
