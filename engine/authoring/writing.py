"""How a parameter map is written: to be read, and trimmed by hand line by line. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 200
"""Characters of a line; one parameter stands on one line where it fits."""

_ALWAYS_BROKEN = frozenset({"parameters", "computed", "switches", "repeat"})
_STEP = "  "


def map_text(document: Mapping[str, Any]) -> str:
    """The text of a parameter map.

    The same document gives the same text, and the text read again gives the document, its keys in the same order.

    Args:
        document: the map, its keys in the order they are to be written in.

    Returns:
        JSON: each key of the map on a line of its own, and each entry of `parameters`, `computed`, `switches` and
        `repeat`; whatever is longer than a line is broken again.
    """
    if not document:
        return "{}\n"
    entries = []
    for key, value in document.items():
        broken = key in _ALWAYS_BROKEN and isinstance(value, dict) and bool(value)
        entries.append(_entry(key, value, _STEP, broken=broken))
    return "{\n" + ",\n".join(entries) + "\n}\n"


def value_text(value: Any, indent: str, used: int) -> str:
    """The text of one value.

    Args:
        value: of JSON's types.
        indent: the white space before the line that it begins on.
        used: the characters of that line that are taken.
    """
    compact = compact_text(value)
    if used + len(compact) < WIDTH or not isinstance(value, dict | list) or not value:
        return compact
    return _broken(value, indent)


def compact_text(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _entry(key: str, value: Any, indent: str, *, broken: bool = False) -> str:
    start = f"{indent}{compact_text(key)}: "
    return start + (_broken(value, indent) if broken else value_text(value, indent, len(start)))


def _broken(value: Any, indent: str) -> str:
    inner = indent + _STEP
    if isinstance(value, dict):
        return "{\n" + ",\n".join(_entry(key, item, inner) for key, item in value.items()) + f"\n{indent}}}"
    if any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + value_text(item, inner, len(inner)) for item in value) + f"\n{indent}]"
    return "[\n" + "\n".join(_filled(value, inner)) + f"\n{indent}]"


def _filled(items: list[Any], indent: str) -> Iterator[str]:
    """Plain items, as many on a line as fit: fifty names of samplers are no fifty lines."""
    line = indent
    for position, item in enumerate(items):
        text = compact_text(item) + ("," if position < len(items) - 1 else "")
        if line != indent and len(line) + len(text) > WIDTH:
            yield line.rstrip()
            line = indent
        line += text + " "
    yield line.rstrip()
