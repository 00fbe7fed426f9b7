"""A payload's JSON Schema as the arguments of a tool. Pure.

The verdict on a call is the workflow's own: here is what an agent needs to write one. What is taken out or bent is what
makers of agents do not take, or what would cost more of an agent's memory than it tells: words of our own, lists of
types, long lists of files, whole numbers that JavaScript can't read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.schema import MEDIA_TYPES
from engine.wording import listed, shorter

MOST_CHOICES = 64
"""Of a longer list, as of a thousand LoRAs, a few are named, and a wrong one is answered with the nearest."""
_NAMED_CHOICES = 12
_LARGEST = 2**53 - 1
"""https://developer.mozilla.org/en-US/docs/Web/JavaScript/Reference/Global_Objects/Number/MAX_SAFE_INTEGER"""
_LONGEST_DEFAULT = 2_000
_LONGEST_TOLD = 2_000

_KEPT = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "enum", "default"),
)
_KINDS = {
    "image": "A picture",
    "mask": "A picture that is a mask",
    "video": "A video",
    "audio": "A sound",
    "file": "A file",
}


def arguments_schema(payload: Mapping[str, Any], bounds: Mapping[str, str], *, media: str) -> dict[str, Any]:
    """The arguments of a tool.

    Args:
        payload: what `Workflow.payload_schema` gave.
        bounds: of parameters that are files, in words, by their names; those of a part as `frames[].image`.
        media: the forms that a file may have, to be read after "a picture:".

    Returns:
        A JSON Schema in the words that most agents take: each parameter has one type.
    """
    return _object(payload, "", bounds, media)


def _object(schema: Mapping[str, Any], within: str, bounds: Mapping[str, str], media: str) -> dict[str, Any]:
    properties = {
        name: _value(each, f"{within}.{name}" if within else name, bounds, media)
        for name, each in schema["properties"].items()
    }
    shown: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return shown | ({"required": list(schema["required"])} if schema.get("required") else {})


def _value(schema: Mapping[str, Any], name: str, bounds: Mapping[str, str], media: str) -> dict[str, Any]:
    if schema.get("x-type") in MEDIA_TYPES:
        what = f"{_KINDS[schema['x-type']]}: {media}"
        return {"type": "string", "description": _told(schema, what, bounds.get(name, ""))}
    kind = _kind(schema)
    if kind == "object":
        shown = _object(schema, name, bounds, media)
    elif kind == "array":
        shown = {"type": "array", "items": _value(schema["items"], f"{name}[]", bounds, media)}
    else:
        shown = {"type": kind}
    shown |= {word: schema[word] for word in _KEPT if word in schema and schema[word] is not None}
    notes = []
    if schema.get("x-type") == "seed":
        shown["maximum"] = min(shown["maximum"], _LARGEST)
        notes.append("" if "-1" in schema.get("description", "") else "-1 draws one")
    if kind == "integer":
        shown |= {word: bound for word, bound in _bounded(shown).items() if abs(shown[word]) > _LARGEST}
    if "enum" in shown:
        notes.append(_choices(shown))
    if len(json.dumps(shown.get("default"))) > _LONGEST_DEFAULT:
        del shown["default"]  # a long text: what the author wrote in the graph
    if about := _told(schema, *notes):
        shown["description"] = about
    return shown


def _kind(schema: Mapping[str, Any]) -> str:
    """Its one type: null is as good as leaving it out."""
    kinds: Sequence[str] = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return next((kind for kind in kinds if kind != "null"), "string")


def _bounded(shown: Mapping[str, Any]) -> dict[str, int]:
    return {word: _LARGEST if shown[word] > 0 else -_LARGEST for word in ("minimum", "maximum") if word in shown}


def _choices(shown: dict[str, Any]) -> str:
    """Leave a list out that is too long, and say what was in it; null is as good as leaving the parameter out."""
    choices = [each for each in shown.pop("enum") if each is not None]
    if not choices:
        return "There is none to choose from here"
    lost = shown.get("default") is not None and shown["default"] not in choices  # a file that is not here
    advice = "The default is not on this machine: send another. " if lost else ""
    if lost:
        del shown["default"]
    if len(choices) > MOST_CHOICES:
        few = listed(choices, most=_NAMED_CHOICES)
        return f"{advice}One of {len(choices)}: {few}; the nearest is told of a wrong one"
    shown["enum"] = choices
    return advice


def _told(schema: Mapping[str, Any], *notes: str) -> str:
    texts = ["Deprecated" if schema.get("deprecated") else "", schema.get("title"), schema.get("description"), *notes]
    return shorter(" ".join(f"{text.strip().rstrip('.')}." for text in texts if text), _LONGEST_TOLD)


def example_text(payload: Mapping[str, Any], most: int) -> str:
    """A payload in a line, cut where it is long."""
    return shorter(json.dumps(payload, ensure_ascii=False), most)
