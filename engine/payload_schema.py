"""The JSON Schema (2020-12) of a workflow's payload: what forms and clients are made from. Pure.

Its verdict is `PayloadValidator`'s, but for rules, which JSON Schema can't say. Words of ours that JSON Schema does
not know begin with `x-`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.media_forms import media_json_schema
from engine.payload import ChoiceList, Choices
from engine.schema import (
    ArrayParameter,
    MediaParameter,
    ObjectParameter,
    Parameter,
    SeedParameter,
    StringParameter,
)
from engine.value_schemas import RANDOM_SEED, is_nullable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONSTRAINTS = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusive_minimum": "exclusiveMinimum",
    "exclusive_maximum": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "enum": "enum",
}

_MEDIA_BOUNDS = {
    "max_bytes": "x-max-bytes",
    "max_pixels": "x-max-pixels",
    "min_side": "x-min-side",
    "aspect_ratio": "x-aspect-ratio",
    "resize_to": "x-resize-to",
    "animated": "x-animated",
}


def payload_schema(
    parameters: Mapping[str, Parameter],
    defaults: Mapping[str, Any],
    *,
    title: str,
    description: str | None = None,
    choice_lists: Sequence[ChoiceList] = (),
    choices: Choices | None = None,
    examples: Sequence[Any] = (),
) -> dict[str, Any]:
    """The schema of a payload.

    Args:
        parameters: by name, in the order of the map.
        defaults: the value of each that is not sent, as far as it is known.
        title: of the workflow.
        description: of the workflow.
        choice_lists: the parameters whose values come from lists.
        choices: those lists, as far as they hold.
        examples: payloads that work.
    """
    lists: dict[tuple[str, ...], Sequence[Any] | None] = {}
    for each in choice_lists:
        allowed, before = (choices or {}).get(each.reference), lists.get(each.path)
        # A parameter with two places takes what both take.
        lists[each.path] = allowed if before is None else [one for one in before if allowed is None or one in allowed]
    schema: dict[str, Any] = {"$schema": DIALECT, "title": title}
    if description:
        schema["description"] = description
    schema |= _object(parameters, lists, (), defaults)
    if examples:
        schema["examples"] = list(examples)
    return schema


_Lists = Mapping[tuple[str, ...], Sequence[Any] | None]


def _object(
    parameters: Mapping[str, Parameter],
    lists: _Lists,
    path: tuple[str, ...],
    defaults: Mapping[str, Any] | None,
) -> dict[str, Any]:
    properties = {}
    for name, parameter in parameters.items():
        properties[name] = _parameter(parameter, lists, (*path, name))
        if defaults is not None and name in defaults and not parameter.required:
            properties[name]["default"] = defaults[name]
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, parameter in parameters.items() if parameter.required],
        "additionalProperties": False,
    }


def _parameter(parameter: Parameter, lists: _Lists, path: tuple[str, ...], *, item: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for word in ("title", "description"):
        if text := getattr(parameter, word):
            schema[word] = text
    schema |= _type(parameter, lists, path)
    for attribute, word in _CONSTRAINTS.items():
        if (bound := getattr(parameter, attribute, None)) is not None:
            schema[word] = bound
    if (allowed := lists.get(path)) is not None:
        narrowed = schema.get("enum")
        schema["enum"] = [each for each in narrowed if each in allowed] if narrowed else list(allowed)
    if is_nullable(parameter, item=item):
        types = schema["type"]
        schema["type"] = [*([types] if isinstance(types, str) else types), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if parameter.has_default:
        schema["default"] = parameter.default
    for attribute, word in (("deprecated", "deprecated"), ("examples", "examples"), ("group", "x-group")):
        if value := getattr(parameter, attribute):
            schema[word] = value
    return schema


def _type(parameter: Parameter, lists: _Lists, path: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(parameter, SeedParameter):
        seed = {"type": "integer", "minimum": RANDOM_SEED, "maximum": parameter.maximum}
        return seed | {"default": RANDOM_SEED, "x-type": "seed"}
    if isinstance(parameter, MediaParameter):
        bounds = {word: getattr(parameter, name, None) for name, word in _MEDIA_BOUNDS.items()}
        given = {word: bound for word, bound in bounds.items() if bound}
        return media_json_schema() | {"x-type": parameter.type} | given
    if isinstance(parameter, ArrayParameter):
        return {"type": "array", "items": _parameter(parameter.items, lists, (*path, "*"), item=True)}
    if isinstance(parameter, ObjectParameter):
        return _object(parameter.properties, lists, path, None)
    if isinstance(parameter, StringParameter) and parameter.multiline:
        return {"type": "string", "x-multiline": True}
    return {"type": parameter.type}
