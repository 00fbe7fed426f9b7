"""The stamp as the text that pictures carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.containers import exif

KEYWORD = "workflow_engine"
"""The name of the stamp: a PNG text chunk's keyword, and what an EXIF text begins with, as ComfyUI's own do."""

# Where the stamp goes in EXIF: the first that is free. Some node packs describe the picture themselves.
_TAGS = (exif.IMAGE_DESCRIPTION, exif.DOCUMENT_NAME, exif.PAGE_NAME)


def written(stamp: Mapping[str, Any]) -> str:
    """The stamp as JSON in ASCII, the same for the same content."""
    return json.dumps(stamp, separators=(",", ":"), sort_keys=True)


def read(text: str) -> dict[str, Any] | None:
    """The stamp of a text; None where it is none."""
    try:
        stamp = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return stamp if isinstance(stamp, dict) else None


def in_exif(content: bytes) -> dict[str, Any] | None:
    """The stamp within an EXIF block; None where there is none."""
    found = exif.texts(content)
    for tag in _TAGS:
        if _is_stamp(text := found.get(tag, "")):
            return read(text.removeprefix(f"{KEYWORD}:"))
    return None


def into_exif(content: bytes, text: str) -> bytes:
    """An EXIF block with the stamp in it.

    Args:
        content: the block; empty for a new one. A stamp that is there already is replaced.
        text: the stamp.

    Raises:
        BrokenContainer: the block can't be read.
    """
    found = exif.texts(content)
    stamped = [tag for tag in _TAGS if _is_stamp(found.get(tag, ""))]
    free = [tag for tag in _TAGS if tag not in found]
    return exif.changed(content, {[*stamped, *free, _TAGS[-1]][0]: f"{KEYWORD}:{text}"})


def wanted_exif(content: bytes, *, keep: bool, stamp: str | None) -> bytes:
    """The EXIF block that a file is to have.

    Args:
        content: the one it has; empty for none.
        keep: leave what it carries; without it only the orientation of a turned picture stays.
        stamp: to put in; None for none.

    Raises:
        BrokenContainer: the block can't be read.
    """
    wanted = content if keep else exif.turned_alone(content)
    return wanted if stamp is None else into_exif(wanted, stamp)


def _is_stamp(text: str) -> bool:
    return text.startswith(f"{KEYWORD}:")
