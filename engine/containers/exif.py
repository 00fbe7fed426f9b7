"""EXIF as the texts of its first directory, which is where ComfyUI's own nodes write.

An EXIF block is a small TIFF file (TIFF 6.0, section 2): a header, and directories of tags whose values stand anywhere
in the block, at offsets from its start. A changed directory is therefore put at the end, and everything else
stays where it is: makers' notes and all else that is not understood here survives.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from engine.containers.problems import BrokenContainer

MAKE = 0x010F
"""Where ComfyUI writes `workflow:{json}` (ComfyUI 0.8, comfy_api/latest/_ui.py)."""

MODEL = 0x0110
"""Where ComfyUI writes `prompt:{json}`, at the same place."""

IMAGE_DESCRIPTION = 0x010E
DOCUMENT_NAME = 0x010D
PAGE_NAME = 0x011D
ORIENTATION = 0x0112

ON_ITS_SIDE = frozenset((5, 6, 7, 8))
"""The orientations of a picture whose width and height are exchanged when it is looked at."""

PREFIX = b"Exif\0\0"
"""Stands before the block in JPEG, and in what some programs write into WebP."""

_ASCII, _SHORT = 2, 3
_ENTRY = 12  # tag, type, count, value or its offset
_MOST_ENTRIES = 10_000
_MOST_OVERLAPS = 8
"""How often texts may lie over each other, as with a wrong length; unbounded, a small block would give any amount."""


def block(content: bytes) -> bytes:
    """An EXIF block without the prefix."""
    return content.removeprefix(PREFIX)


def texts(content: bytes) -> dict[int, str]:
    """The text tags of the first directory; nothing where the block can't be read, or is made to be large when read."""
    try:
        order, entries, _ = _first_directory(content)
    except BrokenContainer:
        return {}
    found, left = {}, _MOST_OVERLAPS * len(content)
    for entry in entries:
        tag, kind, count, value = struct.unpack(order + "HHI4s", entry)
        if kind == _ASCII:
            offset = struct.unpack(order + "I", value)[0]
            text = value[:count] if count <= len(value) else content[offset : offset + count]
            left -= len(text)
            if left < 0:
                return {}
            found[tag] = text.split(b"\0", 1)[0].decode("utf-8", "replace")
    return found


def readable(content: bytes) -> bool:
    """Whether a block can be changed."""
    try:
        _first_directory(content)
    except BrokenContainer:
        return False
    return True


def orientation(content: bytes) -> int:
    """How the picture is turned, 2 to 8; 1 where it is not, or where the block does not say."""
    try:
        order, entries, _ = _first_directory(content)
    except BrokenContainer:
        return 1
    for entry in entries:
        tag, kind, _, value = struct.unpack(order + "HHI4s", entry)
        if tag == ORIENTATION and kind == _SHORT:
            turned: int = struct.unpack(order + "H", value[:2])[0]
            return turned if turned in range(2, 9) else 1
    return 1


def turned_alone(content: bytes) -> bytes:
    """A block that says how the picture is turned and nothing else; empty where it is not turned.

    Without it such a picture would be shown lying on its side.
    """
    turned = orientation(content)
    return changed(b"", {}, turned=turned) if turned != 1 else b""


def changed(content: bytes, new: Mapping[int, str], *, turned: int | None = None) -> bytes:
    """A block with other values.

    Args:
        content: the block; empty for a new one.
        new: texts by their tags, beside those that are there or in their place.
        turned: the orientation to write, 1 to 8; None leaves it.

    Raises:
        BrokenContainer: the block can't be read.
    """
    order, entries, following = _first_directory(content) if content else ("<", [], 0)
    body = bytearray(content or b"II*\0\0\0\0\0")
    body += bytes(len(body) % 2)  # offsets are even
    kept = {struct.unpack(order + "H", entry[:2])[0]: entry for entry in entries}
    for tag, text in sorted(new.items()):
        value = text.encode("utf-8", "replace") + b"\0"
        inside = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", len(body))
        kept[tag] = struct.pack(order + "HHI", tag, _ASCII, len(value)) + inside
        body += value + bytes(len(value) % 2) if len(value) > 4 else b""
    if turned is not None:
        kept[ORIENTATION] = struct.pack(order + "HHIHH", ORIENTATION, _SHORT, 1, turned, 0)
    body[4:8] = struct.pack(order + "I", len(body))
    body += struct.pack(order + "H", len(kept))
    body += b"".join(entry for _, entry in sorted(kept.items()))
    return bytes(body + struct.pack(order + "I", following))


def _first_directory(content: bytes) -> tuple[str, list[bytes], int]:
    """The byte order for struct, the entries, and the offset of the next directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(content[:4])
    if order is None or len(content) < 8:
        raise BrokenContainer("has EXIF data that can't be read")
    start = struct.unpack_from(order + "I", content, 4)[0]
    if start + 2 > len(content):
        raise BrokenContainer("has EXIF data that breaks off")
    count = struct.unpack_from(order + "H", content, start)[0]
    end = start + 2 + count * _ENTRY
    if count > _MOST_ENTRIES or end > len(content):
        raise BrokenContainer("has EXIF data that breaks off")
    entries = [content[at : at + _ENTRY] for at in range(start + 2, end, _ENTRY)]
    # Some writers leave the offset of the next directory out where there is none.
    following = struct.unpack_from(order + "I", content, end)[0] if end + 4 <= len(content) else 0
    return order, entries, following
