"""WebP files as RIFF chunks (https://developers.google.com/speed/webp/docs/riff_container)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from engine.containers import exif, stamp_text
from engine.containers.pieces import Chunk, Piece, counted, joined
from engine.containers.problems import BrokenContainer, NoRoom
from engine.containers.view import Buffer

_HEADER = 12  # RIFF, length of what follows these eight bytes, WEBP
_LONGEST = 2**32 - 2 - 8
_LONGEST_EXIF = 16 * 1024 * 1024  # what is longer is none that anyone made
_LONGEST_HEADER = 1024  # ten bytes, which later versions of the format may add to

_EXIF_FLAG, _XMP_FLAG, _ALPHA_FLAG = 0x08, 0x04, 0x10

# What decides how the picture looks.
_LOOKS = frozenset((b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"))


def chunks(data: Buffer) -> Iterator[Chunk]:
    """The chunks of a file.

    Raises:
        BrokenContainer: it is no WebP, breaks off, or has a chunk that is longer than the file.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise BrokenContainer("is no WebP file")
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise BrokenContainer("breaks off before its end")
    at = _HEADER
    while at < stop:
        if at + 8 > stop:
            raise BrokenContainer("breaks off before its end")
        name, length = struct.unpack("<4sI", data[at : at + 8])
        end = at + 8 + length
        if end > stop:
            raise BrokenContainer("has a part that is longer than the file")
        padded = min(end + length % 2, stop)
        yield Chunk(name, range(at + 8, end), range(at, padded))
        at = padded


def plan(data: Buffer, *, keep: bool, stamp: str | None) -> list[Piece]:
    """The file with other metadata.

    Args:
        data: the file.
        keep: leave what it carries; without it all goes that does not decide how the picture looks.
        stamp: to put in; one that is there already goes. None for none.

    Raises:
        BrokenContainer: it can't be understood.
        NoRoom: the file would be longer than a RIFF file can be.
    """
    found = counted(chunks(data))
    if not found or found[0].name not in (b"VP8X", b"VP8 ", b"VP8L"):
        raise BrokenContainer("has no picture in it")
    present = next((chunk for chunk in found if chunk.name == b"EXIF"), None)
    content = _exif_of(data, present) if present else b""
    wanted = stamp_text.wanted_exif(content, keep=keep, stamp=stamp)
    kept = [chunk for chunk in found if chunk is not present and (keep or chunk.name in _LOOKS)]
    stop = 8 + int.from_bytes(data[4:8], "little")
    if wanted == content and len(kept) + bool(present) == len(found) and (keep or stop == len(data)):
        return [range(len(data))]
    xmp = any(chunk.name == b"XMP " for chunk in kept)
    head, rest = _head(data, kept, exif_there=bool(wanted), xmp_there=xmp)
    # The specification's order: the picture, EXIF, XMP, then what is unknown.
    last = max((place for place, chunk in enumerate(rest) if chunk.name in _LOOKS), default=-1) + 1
    body: list[Piece] = [head]
    for chunk in rest[:last]:
        body += _padded(chunk)
    body.append(_chunk(b"EXIF", wanted) if wanted else b"")
    for chunk in rest[last:]:
        body += _padded(chunk)
    length = sum(map(len, body)) + 4
    if length > _LONGEST:
        raise NoRoom(f"{length} bytes; a RIFF file takes {_LONGEST}")
    after = [range(stop, len(data))] if keep else []
    return joined([b"RIFF" + struct.pack("<I", length) + b"WEBP", *body, *after])


def size(data: Buffer) -> tuple[int, int]:
    """Width and height in pixels, the way the picture is to be looked at.

    Raises:
        BrokenContainer: it can't be understood.
    """
    header, turned = b"", 1
    for chunk in chunks(data):
        if not header:
            header = _header(data, chunk) if chunk.name == b"VP8X" else _new_header(data, chunk)
        if chunk.name == b"EXIF":
            turned = exif.orientation(_exif_of(data, chunk))
    if not header:
        raise BrokenContainer("has no picture in it")
    width, height = (int.from_bytes(header[at : at + 3], "little") + 1 for at in (4, 7))
    return (height, width) if turned in exif.ON_ITS_SIDE else (width, height)


def stamp_of(data: Buffer) -> dict[str, Any] | None:
    """The stamp in a file; None where there is none.

    Raises:
        BrokenContainer: it can't be understood.
    """
    return stamp_text.in_exif(exif_of(data))


def exif_of(data: Buffer) -> bytes:
    """The EXIF block of a file; empty where there is none.

    Raises:
        BrokenContainer: it can't be understood.
    """
    for chunk in chunks(data):
        if chunk.name == b"EXIF":
            return _exif_of(data, chunk)
    return b""


def _exif_of(data: Buffer, chunk: Chunk) -> bytes:
    if len(chunk.content) > _LONGEST_EXIF:
        raise BrokenContainer("has more EXIF data than can be handled")
    return exif.block(data[chunk.content.start : chunk.content.stop])


def _head(data: Buffer, kept: list[Chunk], *, exif_there: bool, xmp_there: bool) -> tuple[bytes, list[Chunk]]:
    """The VP8X chunk with its flags right, made where there is none and one is needed; and the chunks after it."""
    first = kept[0]
    if first.name == b"VP8X":
        content = _header(data, first)
        rest = kept[1:]
    elif exif_there:
        content, rest = _new_header(data, first), kept
    else:
        return b"", kept
    flags = content[0] & ~(_EXIF_FLAG | _XMP_FLAG) | _EXIF_FLAG * exif_there | _XMP_FLAG * xmp_there
    return _chunk(b"VP8X", bytes([flags]) + content[1:]), rest


def _header(data: Buffer, chunk: Chunk) -> bytes:
    if len(chunk.content) < 10:
        raise BrokenContainer("has a header that breaks off")
    if len(chunk.content) > _LONGEST_HEADER:
        raise BrokenContainer("has a header that is too long")
    return data[chunk.content.start : chunk.content.stop]


def _new_header(data: Buffer, picture: Chunk) -> bytes:
    """Of a file that had none: its size is in the picture's own header (RFC 9649, sections 2.5 to 2.7)."""
    start = data[picture.content.start : min(picture.content.start + 10, picture.content.stop)]
    if picture.name == b"VP8L":
        if len(start) < 5 or start[0] != 0x2F:
            raise BrokenContainer("has a header that breaks off")
        bits = int.from_bytes(start[1:5], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        if len(start) < 10 or start[3:6] != b"\x9d\x01\x2a":
            raise BrokenContainer("has a header that breaks off")
        width, height = (size & 0x3FFF for size in struct.unpack("<HH", start[6:10]))
        if not width or not height:
            raise BrokenContainer("has a picture without a size")
        width, height, alpha = width - 1, height - 1, 0
    return struct.pack("<I", _ALPHA_FLAG * alpha) + width.to_bytes(3, "little") + height.to_bytes(3, "little")


def _padded(chunk: Chunk) -> list[Piece]:
    """A chunk; one at the file's end may lack its padding."""
    return [chunk.whole, bytes(len(chunk.whole) % 2)]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
