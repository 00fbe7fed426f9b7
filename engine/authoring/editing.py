"""Changing a JSON text only where its document changes: an author's own layout of a map stays. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from engine.authoring.writing import compact_text, map_text, value_text

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r"[^\s,\]}]+")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of an object or item of an array, with the white space around its parts.

    Attributes:
        lead: what stands before it.
        key: its key as written; empty in an array.
        colon: what stands between key and value.
        value: its value.
        trail: what stands behind it.
    """

    lead: str
    key: str
    colon: str
    value: _Value
    trail: str


@dataclass(frozen=True, slots=True)
class _Value:
    """A value: its text, and its entries where it is an object or an array."""

    text: str
    entries: tuple[_Entry, ...] = ()


def edited_text(text: str, document: Any) -> tuple[str, bool]:
    """The text of a changed document.

    Args:
        text: JSON that `engine.documents.parse_json` takes.
        document: what it is to hold.

    Returns:
        The text, with what did not change as it was, and whether the layout could be kept: where it could not, all of
        it is written anew.
    """
    lead = _space(text, 0)
    whole = _parse(text, lead)
    changed = _edited(whole, document, "")
    made = text[:lead] + changed + text[lead + len(whole.text) :]
    if _same(json.loads(made), document):
        return made, True
    return map_text(document), False


def _parse(text: str, start: int) -> _Value:
    opening = text[start]
    if opening not in "{[":
        match = _TEXT.match(text, start) if opening == '"' else _PLAIN.match(text, start)
        return _Value(match[0] if match else "")
    entries: list[_Entry] = []
    position = start + 1
    while True:
        after = _space(text, position)
        lead = text[position:after]
        if text[after] in "}]":
            return _Value(text[start : after + 1], tuple(entries))
        key = colon = ""
        if opening == "{":
            key = _parse(text, after).text
            after_key = after + len(key)
            after = _space(text, _space(text, after_key) + 1)
            colon = text[after_key:after]
        value = _parse(text, after)
        position = after + len(value.text)
        after = _space(text, position)
        entries.append(_Entry(lead, key, colon, value, text[position:after]))
        position = after + (text[after] == ",")


def _space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _edited(value: _Value, wanted: Any, indent: str) -> str:
    """The text of what is wanted instead of a value, as much of the old text kept as can be."""
    old = json.loads(value.text)
    if _same(old, wanted):
        return value.text
    if not value.entries or not wanted or type(old) is not type(wanted):
        return value_text(wanted, indent, len(indent))
    if isinstance(wanted, dict):
        before, after = list(old), list(wanted)
        values = list(wanted.values())
    else:
        before, after = [compact_text(item) for item in old], [compact_text(item) for item in wanted]
        values = wanted
    pairs = list(_pairs(before, after))
    entries = [
        _entry_text(value, None if at is None else value.entries[at], position, wanted, values[position])
        for at, position in pairs
    ]
    trails = ["" if at is None or at == len(value.entries) - 1 else value.entries[at].trail for at, _ in pairs]
    trails[-1] = value.entries[-1].trail
    return value.text[0] + ",".join(map("".join, zip(entries, trails, strict=True))) + value.text[-1]


def _pairs(before: Sequence[str], after: Sequence[str]) -> list[tuple[int | None, int]]:
    """For each entry that is wanted the old one that it stands for; None for a new one."""
    pairs: list[tuple[int | None, int]] = []
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        renamed = kind == "equal" or (kind == "replace" and old_to - old_from == new_to - new_from)
        pairs += [(old_from + each if renamed else None, new_from + each) for each in range(new_to - new_from)]
    return pairs


def _entry_text(whole: _Value, entry: _Entry | None, position: int, wanted: Any, value: Any) -> str:
    model = entry or whole.entries[min(position, len(whole.entries) - 1)]
    lead = model.lead
    if position and entry in (None, whole.entries[0]):
        # `{"a": 1}`: nothing stands before the first one, but a space does before any other.
        lead = whole.entries[1].lead if len(whole.entries) > 1 else lead or " "
    elif not position:
        lead = whole.entries[0].lead
    indent = lead.rpartition("\n")[2]
    start = lead
    if isinstance(wanted, dict):
        key = list(wanted)[position]
        same = entry is not None and json.loads(entry.key) == key
        start += (model.key if same else compact_text(key)) + model.colon
    if entry is not None:
        return start + _edited(entry.value, value, indent)
    return start + value_text(value, indent, len(start))


def _same(one: Any, other: Any) -> bool:
    """Whether two documents are the same, the order of their keys and the types of their numbers included."""
    return compact_text(one) == compact_text(other)
