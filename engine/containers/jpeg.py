"""JPEG files as segments (ITU T.81, annex B; the Exif segment: Exif 2.32, section 4.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.containers import exif, stamp_text
from engine.containers.pieces import Piece, counted, joined
from engine.containers.problems import BrokenContainer, NoRoom
from engine.containers.view import Buffer, first_match

LONGEST_EXIF = 0xFFFF - 2 - len(exif.PREFIX)
"""How many bytes of EXIF a file takes: a segment's length is written in two bytes, which it counts too."""

_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_FIRST_APP, _LAST_APP = 0xE0, 0xEF
_EXIF_APP = 0xE1

# A marker that ends coded data: within it, 0xFF is followed by zero or by a restart marker, or fills up. What fills
# up before the marker counts as coded data.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# Application segments that decide how the picture looks, and its resolution: JFIF, colour profile, Adobe's colours.
_LOOKS = ((0xE0, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its marker, where its content is, and where it is with the marker and what follows.

    After a scan's header follows its coded data, which belongs to `whole` alone.
    """

    marker: int
    content: range
    whole: range


def segments(data: Buffer) -> Iterator[Segment]:
    """The segments of a file from after its start to before its end marker; the last is the end marker itself.

    Raises:
        BrokenContainer: it is no JPEG, breaks off, or has a segment that is longer than the file.
    """
    if data[:2] != b"\xff\xd8":
        raise BrokenContainer("is no JPEG file")
    at = 2
    while True:
        begin = at
        while data[at : at + 1] == b"\xff":
            at += 1
        if at == begin or at >= len(data):
            raise BrokenContainer("breaks off before its end")
        marker = data[at]
        if marker == _END:
            yield Segment(marker, range(0), range(begin, at + 1))
            return
        end = at + 1 + int.from_bytes(data[at + 1 : at + 3], "big")
        if end < at + 3 or end > len(data):
            raise BrokenContainer("has a part that is longer than the file")
        content = range(at + 3, end)
        if marker == _SCAN:
            following = first_match(data, _AFTER_SCAN, end, width=2)
            if following is None:
                raise BrokenContainer("breaks off before its end")
            end = following
        yield Segment(marker, content, range(begin, end))
        at = end


def plan(data: Buffer, *, keep: bool, stamp: str | None) -> list[Piece]:
    """The file with other metadata.

    Args:
        data: the file.
        keep: leave what it carries; without it all goes that does not decide how the picture looks.
        stamp: to put in; one that is there already goes. None for none.

    Raises:
        BrokenContainer: it can't be understood.
        NoRoom: the EXIF data would be longer than LONGEST_EXIF.
    """
    found = counted(segments(data))
    if _SCAN not in {segment.marker for segment in found}:
        raise BrokenContainer("has no picture in it")
    present = next((segment for segment in found if _is_exif(data, segment)), None)
    content = _exif_of(data, present) if present else b""
    wanted = stamp_text.wanted_exif(content, keep=keep, stamp=stamp)
    if wanted == content:
        present_piece: Piece = present.whole if present else b""
    else:
        present_piece = _exif_segment(wanted)
    # JFIF wants to be first, Exif as well: readers take them in this order, and writers put them so.
    start = found[0].whole.stop if _starts(data, found[0], b"JFIF\0") else 2
    kept = [
        segment.whole
        for segment in found
        if segment is not present and segment.whole.start >= start and (keep or _looks(data, segment))
    ]
    after = [range(found[-1].whole.stop, len(data))] if keep else []
    return joined([range(start), present_piece, *kept, *after])


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
    for segment in segments(data):
        if _is_exif(data, segment):
            return _exif_of(data, segment)
    return b""


def _looks(data: Buffer, segment: Segment) -> bool:
    if segment.marker == _COMMENT:
        return False
    if _FIRST_APP <= segment.marker <= _LAST_APP:
        return any(segment.marker == marker and _starts(data, segment, name) for marker, name in _LOOKS)
    return True


def _is_exif(data: Buffer, segment: Segment) -> bool:
    return segment.marker == _EXIF_APP and _starts(data, segment, exif.PREFIX)


def _starts(data: Buffer, segment: Segment, name: bytes) -> bool:
    return data[segment.content.start : min(segment.content.start + len(name), segment.content.stop)] == name


def _exif_of(data: Buffer, segment: Segment) -> bytes:
    return exif.block(data[segment.content.start : segment.content.stop])


def _exif_segment(content: bytes) -> bytes:
    if not content:
        return b""
    if len(content) > LONGEST_EXIF:
        raise NoRoom(f"{len(content)} bytes of EXIF; a JPEG takes {LONGEST_EXIF}")
    length = len(content) + len(exif.PREFIX) + 2
    return b"\xff\xe1" + length.to_bytes(2, "big") + exif.PREFIX + content
