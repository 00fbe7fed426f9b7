"""Reproducible pictures: what made a picture travels in it, as the stamp that a caller of the engine can run again.

The picture is never coded again for this: the parts of its file are copied, and one is put in, replaced or left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.containers import (
    BrokenContainer,
    Buffer,
    NoRoom,
    Piece,
    exif,
    jpeg,
    png,
    stamp_text,
    unchanged,
    viewed,
    webp,
    write,
)
from engine.delivery import MetadataKind
from engine.media import sniff
from engine.media.unfinished import Unfinished, container_work

_CONTAINERS = {"image/png": png, "image/jpeg": jpeg, "image/webp": webp}

VALUES_LEFT_OUT = "the values are too long for a JPEG and are left out of what it carries"
STAMP_LEFT_OUT = "there is no room in this JPEG for what made it, which is left out"


def can_stamp(content_type: str) -> bool:
    """Whether files of this type can be stamped."""
    return content_type in _CONTAINERS


def restamp(
    source: Path, target: Path, *, content_type: str, metadata: MetadataKind, stamp: Mapping[str, Any]
) -> tuple[bool, list[str]]:
    """Write a picture with other metadata, its pixels and all that decides how they look the same byte for byte.

    Args:
        source: the picture.
        target: the file to write; there is none afterwards unless it was written.
        content_type: of the picture; one that `can_stamp` takes.
        metadata: `keep` what it carries and add the stamp, the stamp (`values`) alone, or neither (`strip`).
        stamp: JSON types; empty for none.

    Returns:
        Whether anything was to be changed and so the target written; and warnings, each a clause that follows
        the file's name.

    Raises:
        Unfinished: the file's parts can't be understood or written.
    """
    if metadata == "keep" and not stamp:
        return False, []
    candidates = _candidates({} if metadata == "strip" else stamp)
    with container_work("can't be given other metadata"), viewed(source) as data:
        pieces, warnings = _fitting_plan(content_type, data, candidates, keep=metadata == "keep")
        if unchanged(pieces, data):
            return False, warnings
        try:
            write(pieces, data, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return True, warnings


def read_stamp(path: Path) -> dict[str, Any] | None:
    """The stamp that a PNG, JPEG, WebP or AVIF picture carries; None where there is none or the file is broken."""
    try:
        with viewed(path) as data:
            content_type = sniff.content_type(data[: sniff.HEAD_BYTES])
            if content_type == "image/avif":
                return stamp_text.in_exif(_exif_of_avif(path))
            container = _CONTAINERS.get(content_type)
            return container.stamp_of(data) if container else None
    except (BrokenContainer, OSError):
        return None


def without_values(stamp: Mapping[str, Any]) -> dict[str, Any]:
    """The stamp where its values have no room."""
    return {name: value for name, value in stamp.items() if name != "values"}


def _candidates(stamp: Mapping[str, Any]) -> list[tuple[str | None, list[str]]]:
    """What to put in, of which the first that fits is taken, with the warnings that go with it."""
    if not stamp:
        return [(None, [])]
    return [
        (stamp_text.written(stamp), []),
        (stamp_text.written(without_values(stamp)), [VALUES_LEFT_OUT]),
        (None, [STAMP_LEFT_OUT]),
    ]


def _fitting_plan(
    content_type: str, data: Buffer, candidates: list[tuple[str | None, list[str]]], *, keep: bool
) -> tuple[list[Piece], list[str]]:
    problem = NoRoom()
    for text, warnings in candidates:
        try:
            return _CONTAINERS[content_type].plan(data, keep=keep, stamp=text), warnings
        except NoRoom as error:
            problem = error
    raise problem


def _exif_of_avif(path: Path) -> bytes:
    from PIL import Image

    from engine.media.unfinished import pillow_work

    try:
        with pillow_work("can't be read"), Image.open(path, formats=["AVIF"]) as picture:
            return exif.block(picture.info.get("exif") or b"")
    except Unfinished:
        return b""
