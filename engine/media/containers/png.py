"""PNG files as chunks (https://www.w3.org/TR/png-3/#5DataRep); animated ones are the same with chunks of their own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from engine.media.containers import exif, stamp_text
from engine.media.containers.pieces import Chunk, Piece, joined
from engine.media.containers.problems import BrokenContainer
from engine.media.containers.view import Buffer

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_LONGEST_CHUNK = 2**31 - 1
_LONGEST_KEYWORD = 80  # 79 letters and the null after them
_LONGEST_READ = 16 * 1024 * 1024  # of a stamp or an EXIF block; what is longer is none that anyone made

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")

# What decides how the picture looks, and its resolution. All other chunks go when metadata goes, known or not:
# ComfyUI's SaveAnimatedPNG keeps its graph in one of its own, `comf` (ComfyUI 0.8, comfy_api/latest/_ui.py).
_LOOKS = frozenset(
    (
        *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP"),
        *(b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"hIST", b"pHYs"),
    )
)


def chunks(data: Buffer) -> Iterator[Chunk]:
    """The chunks of a file up to its end chunk. Checksums are not looked at.

    Raises:
        BrokenContainer: it is no PNG, breaks off, or has a chunk that is longer than the file.
    """
    if data[: len(SIGNATURE)] != SIGNATURE:
        raise BrokenContainer("is no PNG file")
    at, name = len(SIGNATURE), b""
    while name != b"IEND":
        if at + 12 > len(data):
            raise BrokenContainer("breaks off before its end")
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        if length > _LONGEST_CHUNK or end > len(data):
            raise BrokenContainer("has a part that is longer than the file")
        if (at == len(SIGNATURE)) != (name == b"IHDR"):
            raise BrokenContainer("does not begin as a PNG file does")
        yield Chunk(name, range(at + 8, end - 4), range(at, end))
        at = end


def plan(data: Buffer, *, keep: bool, stamp: str | None) -> list[Piece]:
    """The file with other metadata.

    Args:
        data: the file.
        keep: leave what it carries; without it all goes that does not decide how the picture looks.
        stamp: to put in, before the picture's data; one that is there already goes. None for none.

    Raises:
        BrokenContainer: it can't be understood.
    """
    return joined(_pieces(data, keep=keep, stamp=stamp))


def stamp_of(data: Buffer) -> dict[str, Any] | None:
    """The stamp in a file; None where there is none.

    Raises:
        BrokenContainer: it can't be understood.
    """
    for chunk in chunks(data):
        if chunk.name == b"iTXt" and _keyword(data, chunk) == stamp_text.KEYWORD.encode():
            content = data[chunk.content.start : chunk.content.stop] if len(chunk.content) <= _LONGEST_READ else b""
            # keyword, 0, compressed or not, method, language, 0, translated keyword, 0, text
            fields = content[len(stamp_text.KEYWORD) + 3 :].split(b"\0", 2)
            return stamp_text.read(fields[-1].decode("utf-8", "replace"))
    return None


def _pieces(data: Buffer, *, keep: bool, stamp: str | None) -> Iterator[Piece]:
    """The plan, chunk by chunk: a large file has too many of them to be held."""
    yield range(len(SIGNATURE))
    end, has_picture = 0, False
    for chunk in chunks(data):
        has_picture |= chunk.name == b"IDAT"
        end = chunk.whole.stop
        yield from _kept(data, chunk) if keep else _stripped(data, chunk)
        if chunk.name == b"IHDR" and stamp is not None:
            yield _stamp_chunk(stamp)
    if not has_picture:
        raise BrokenContainer("has no picture in it")
    if keep:
        yield range(end, len(data))


def _kept(data: Buffer, chunk: Chunk) -> list[Piece]:
    ours = chunk.name in _TEXTS and _keyword(data, chunk) == stamp_text.KEYWORD.encode()
    return [] if ours else [chunk.whole]


def _stripped(data: Buffer, chunk: Chunk) -> list[Piece]:
    if chunk.name == b"eXIf" and len(chunk.content) <= _LONGEST_READ:
        turned = exif.turned_alone(exif.block(data[chunk.content.start : chunk.content.stop]))
        return [_chunk(b"eXIf", turned)] if turned else []
    return [chunk.whole] if chunk.name in _LOOKS else []


def _keyword(data: Buffer, chunk: Chunk) -> bytes:
    start = chunk.content.start
    return data[start : min(start + _LONGEST_KEYWORD, chunk.content.stop)].split(b"\0", 1)[0]


def _stamp_chunk(stamp: str) -> bytes:
    # Uncompressed, without a language or a translated keyword.
    return _chunk(b"iTXt", stamp_text.KEYWORD.encode() + b"\0\0\0\0\0" + stamp.encode())


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
