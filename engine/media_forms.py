"""How a file may be written in a payload: a text, or an object with its URL. Pure.

Neither a file nor what is sent along to fetch it is ever shown: messages tell types and names of keys alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import core_schema

from engine.wording import did_you_mean, kind_of, listed

_KEYS = ("url", "filename", "headers")
_AS_TEXT, _AS_OBJECT = "text", "object"

_NAMES = {
    "image": "an image",
    "mask": "a mask image",
    "video": "a video",
    "audio": "an audio file",
    "file": "a file",
}


def media_core_schema() -> core_schema.CoreSchema:
    """What both forms are checked by; errors inside carry the form's name after the parameter's place."""
    text = core_schema.str_schema(strict=True, min_length=1)
    # With a least length pydantic-core reads a text as Unicode, and so refuses lone surrogates.
    any_text = core_schema.str_schema(strict=True, min_length=0)
    fields = {
        "url": core_schema.typed_dict_field(text, required=True),
        "filename": core_schema.typed_dict_field(any_text, required=False),
        "headers": core_schema.typed_dict_field(
            core_schema.dict_schema(any_text, any_text, strict=True), required=False
        ),
    }
    as_object = core_schema.typed_dict_schema(fields, extra_behavior="forbid", strict=True)
    return core_schema.tagged_union_schema(
        {_AS_TEXT: text, _AS_OBJECT: as_object},
        discriminator=_form_of,
        custom_error_type="engine_media",
        custom_error_message="no file",
    )


def _form_of(value: Any) -> str | None:
    return _AS_TEXT if isinstance(value, str) else _AS_OBJECT if isinstance(value, dict) else None


def media_json_schema() -> dict[str, Any]:
    """Both forms in JSON Schema's words, with a list of types, so that null can join them."""
    return {
        "type": ["string", "object"],
        "minLength": 1,
        "properties": {
            "url": {"type": "string", "minLength": 1},
            "filename": {"type": "string"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["url"],
        "additionalProperties": False,
    }


def media_problem(kind: str, value: Any, within: Sequence[int | str], media_type: str) -> tuple[tuple[str, ...], str]:
    """What is wrong with a file of a payload.

    Args:
        kind: of pydantic-core's error.
        value: what it is about; its type alone is told.
        within: pydantic-core's location after the parameter's own: the form, then keys.
        media_type: of the parameter.

    Returns:
        The key in the object's form, if it is about one, and the message.
    """
    keys = [str(step) for step in within[1:]]
    if kind == "extra_forbidden":
        return (keys[0],), f"unknown key{did_you_mean(keys[0][:64], _KEYS)}; a file as an object has: {listed(_KEYS)}"
    if kind == "missing":
        return (keys[0],), "is required"
    # Not the header's name: whoever mixes up name and value would read a secret.
    place = tuple(keys[:1])
    if kind == "string_too_short":
        return place, "must not be empty"
    if kind == "string_unicode":
        return place, "must be valid Unicode text (it has a lone surrogate)"
    if len(keys) > 1:
        return place, f"must hold strings alone (one is {kind_of(value)})"
    if place:
        wanted = "an object of strings" if place == ("headers",) else "a string"
        return place, f"must be {wanted} (got {kind_of(value)})"
    return (), (
        f"must be {_NAMES.get(media_type, _NAMES['file'])}: a string that holds it or says where it is, or an object "
        f"with its url (got {kind_of(value)})"
    )
