"""PNG files as chunks (https://www.w3.org/TR/png-3/#5DataRep); animated ones are the same with chunks of their own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Iterator
from typing import Any

from engine.containers import exif, stamp_text
from engine.containers.pieces import Chunk, Piece, joined
from engine.containers.problems import BrokenContainer
from engine.containers.view import Buffer

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_LONGEST_CHUNK = 2**31 - 1
_LONGEST_KEYWORD = 80  # 79 letters and the null after them
_LONGEST_READ = 16 * 1024 * 1024  # of a stamp, a text or an EXIF block; what is longer is none that anyone made
_MOST_READS = 8  # of texts by the wanted names: each may inflate to that length

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


def texts(data: Buffer, wanted: Container[str]) -> Iterator[tuple[str, str | None]]:
    """The texts that a file carries, until its end or where it breaks off.

    `comf` is a chunk of ComfyUI's SaveAnimatedPNG (ComfyUI 0.8, comfy_api/latest/_ui.py): a `tEXt` by another name.

    Args:
        data: the file.
        wanted: the keywords of the texts to read; a file may hold any number of others, which inflate to any length.

    Yields:
        The keyword and the text; None for one that is not wanted, broken or too long.

    Raises:
        BrokenContainer: it is no PNG, breaks off, or has a chunk that is longer than the file.
    """
    left = _MOST_READS
    for chunk in chunks(data):
        if chunk.name not in (*_TEXTS, b"comf"):
            continue
        keyword = _keyword(data, chunk).decode("latin-1")
        if keyword not in wanted or len(chunk.content) > _LONGEST_READ or not left:
            yield keyword, None
            continue
        left -= 1
        yield keyword, _text(chunk.name, data[chunk.content.start + len(keyword) + 1 : chunk.content.stop])


def _text(kind: bytes, content: bytes) -> str | None:
    """The text of a chunk after its keyword; None where it is broken or too long."""
    if kind in (b"tEXt", b"comf"):
        return _decoded(content)
    if kind == b"zTXt":
        inflated = _inflated(content[1:])  # after the method, of which there is one
        return None if inflated is None else _decoded(inflated)
    # Compressed or not, method, language, 0, translated keyword, 0, text.
    fields = content[2:].split(b"\0", 2)
    if len(fields) < 3:
        return None
    plain = _inflated(fields[2]) if content[:1] == b"\1" else fields[2]
    return None if plain is None else plain.decode("utf-8", "replace")


def _decoded(content: bytes) -> str:
    """Latin-1 by the standard; many programs write UTF-8 all the same, which hardly ever is Latin-1 by accident."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _inflated(content: bytes) -> bytes | None:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(content, _LONGEST_READ)
    except zlib.error:
        return None
    return inflated if inflater.eof else None


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
