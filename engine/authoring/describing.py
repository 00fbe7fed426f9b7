"""What a parameter takes, in words: its type, what is allowed, what holds where it is not sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from engine.media_values import MediaValue, with_media
from engine.schema import MEDIA_TYPES, Parameter
from engine.wording import listed, shorter
from engine.workflow import Workflow

_MOST_CHOICES = 6
_LONGEST_TEXT = 300
_LONGEST_FILE = 120


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter, or one part of another.

    Attributes:
        name: `steps`; `loras[].name` for a part of the items of a list, `frame.width` for a part of an object.
        group: the heading that the map gives it; empty for none. A part stands with its whole.
        type: the map's word for it.
        allowed: bounds and choices; empty where anything is.
        default: `required`, or what holds where it is not sent; empty for a part that is then absent.
        about: title and description.
    """

    name: str
    group: str
    type: str
    allowed: str
    default: str
    about: str


def parameter_rows(workflow: Workflow) -> list[Row]:
    """Every parameter in the order of the map, each followed by its parts; those of a group together."""
    schema = workflow.payload_schema()
    rows: list[Row] = []
    for name, parameter in workflow.parameters.items():
        rows += _rows(name, parameter, schema["properties"][name], parameter.group or "")
    groups = dict.fromkeys(["", *(row.group for row in rows)])
    return [row for group in groups for row in rows if row.group == group]


def example_payload(workflow: Workflow) -> tuple[dict[str, Any], bool]:
    """A payload for example calls, and whether it is the author's: the map's first example.

    Without one it holds what is required, made up: patterns and the rules of the map may refuse it.
    """
    for example in workflow.examples:
        return example.payload, True
    schema = workflow.payload_schema()["properties"]
    required = {name: parameter for name, parameter in workflow.parameters.items() if parameter.required}
    return {name: _made_up(parameter, schema[name]) for name, parameter in required.items()}, False


def with_short_files(workflow: Workflow, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload for people: a file that is in it as a long text is replaced by a URL that says what stood there.

    Args:
        workflow: says which values are files.
        payload: one that is valid.
    """
    shown = dict(payload)
    for name in shown.keys() & workflow.parameters.keys():
        shown[name] = with_media(workflow.parameters[name], name, shown[name], _shorter_file)
    return shown


def _shorter_file(media: MediaValue) -> Any:
    value = media.value
    if not isinstance(value, str) or len(value) <= _LONGEST_FILE or value.startswith(("http:", "https:")):
        return value
    content_type = value[5:].partition(";")[0] if value.startswith("data:") else ""
    suffix = content_type.rpartition("/")[2].partition("+")[0]
    return f"https://example.com/{media.parameter.type}" + (f".{suffix}" if suffix else "")


def _rows(name: str, parameter: Parameter, schema: Mapping[str, Any], group: str) -> Iterator[Row]:
    yield Row(
        name=name,
        group=group,
        type=parameter.type if parameter.type != "array" else f"array of {parameter.items.type}",
        allowed="; ".join(_allowed(parameter, schema)),
        default=_default(parameter, schema, nested="[" in name or "." in name),
        about=_about(parameter),
    )
    if parameter.type == "array":
        yield from _parts(f"{name}[]", parameter.items, schema["items"], group)
    elif parameter.type == "object":
        yield from _parts(name, parameter, schema, group)


def _parts(name: str, parameter: Parameter, schema: Mapping[str, Any], group: str) -> Iterator[Row]:
    if parameter.type == "object":
        for key, part in parameter.properties.items():
            yield from _rows(f"{name}.{key}", part, schema["properties"][key], group)
    elif name.endswith("[]") and (parameter.type == "array" or list(_allowed(parameter, schema))):
        yield from _rows(name, parameter, schema, group)


def _allowed(parameter: Parameter, schema: Mapping[str, Any]) -> Iterator[str]:
    if parameter.type in MEDIA_TYPES:
        yield from _media_bounds(schema)
        return
    if parameter.type == "seed":
        yield f"0 to {schema['maximum']}, or -1 to draw one"
        return
    yield from _range(schema)
    if "multipleOf" in schema:
        yield f"a multiple of {schema['multipleOf']}"
    if schema.get("minLength") == 1 and "maxLength" not in schema:
        yield "not empty"
    elif schema.get("minLength") or "maxLength" in schema:
        yield _between(schema.get("minLength") or None, schema.get("maxLength"), "characters")
    if "minItems" in schema or "maxItems" in schema:
        yield _between(schema.get("minItems"), schema.get("maxItems"), "items")
    if "pattern" in schema:
        yield f"matches {schema['pattern']}"
    if "enum" in schema:
        choices = [each for each in schema["enum"] if each is not None]
        yield f"one of {listed(choices, most=_MOST_CHOICES)}" if choices else "there is no choice"


def _range(schema: Mapping[str, Any]) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None or high is not None:
        yield f"at least {low}" if high is None else f"at most {high}"
    if "exclusiveMinimum" in schema:
        yield f"above {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema:
        yield f"below {schema['exclusiveMaximum']}"


def _between(low: int | None, high: int | None, what: str) -> str:
    what = what.removesuffix("s") if 1 in (low, high) and (low or high) == (high or low) else what
    if high is None:
        return f"at least {low} {what}"
    if low == high:
        return f"{low} {what}"
    return f"at most {high} {what}" if low is None else f"{low} to {high} {what}"


def _media_bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    if bound := schema.get("x-max-bytes"):
        yield f"at most {bound} bytes"
    if bound := schema.get("x-max-pixels"):
        yield f"at most {bound} pixels"
    if ratio := schema.get("x-aspect-ratio"):
        yield f"width to height {ratio}" if isinstance(ratio, str) else f"width to height {ratio[0]} to {ratio[-1]}"
    if bound := schema.get("x-min-side"):
        yield f"at least {bound} pixels on each side"
    if side := schema.get("x-resize-to"):
        yield f"scaled down to {side} pixels"
    if schema.get("x-animated"):
        yield "may be animated"


def _default(parameter: Parameter, schema: Mapping[str, Any], *, nested: bool) -> str:
    if parameter.required:
        return "required"
    if parameter.type == "seed" and schema.get("default") == -1:
        return "drawn"
    if schema.get("default") is not None:
        return shorter(json.dumps(schema["default"], ensure_ascii=False), _LONGEST_TEXT)
    return "" if nested and not parameter.has_default else "none"


def _about(parameter: Parameter) -> str:
    texts = ["Deprecated." if parameter.deprecated else "", parameter.title or "", parameter.description or ""]
    about = ". ".join(text.rstrip(". ") for text in texts if text)
    return f"{about}." if about else ""


def _made_up(parameter: Parameter, schema: Mapping[str, Any]) -> Any:
    """A value of the parameter's type: its own example where it has one, else about the least that is allowed."""
    if parameter.examples:
        return parameter.examples[0]
    if parameter.type in MEDIA_TYPES:
        return f"https://example.com/{parameter.type}"
    if choices := [each for each in schema.get("enum", ()) if each is not None]:
        return choices[0]
    if parameter.type == "array":
        return [_made_up(parameter.items, schema["items"])] * (parameter.min_items or 0)
    if parameter.type == "object":
        parts = schema["properties"]
        return {key: _made_up(part, parts[key]) for key, part in parameter.properties.items() if part.required}
    if parameter.type in ("integer", "number"):
        return _least(schema)
    if parameter.type == "string":
        return "text".ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    return {"boolean": True, "seed": 7}[parameter.type]


def _least(schema: Mapping[str, Any]) -> int | float:
    """The least number that is allowed, or one close to it; where there is none, the largest, else 1."""
    bounds = {word: Decimal(str(schema[word])) for word in ("minimum", "exclusiveMinimum", "maximum") if word in schema}
    step = Decimal(str(schema.get("multipleOf", 1)))
    least = bounds.get("minimum", min(bounds.get("maximum", step), step))
    above = bounds.get("exclusiveMinimum")
    if above is not None and above >= bounds.get("minimum", above):
        least = (above // step + 1) * step
        if "multipleOf" not in schema and least > bounds.get("maximum", least):
            least = (above + bounds["maximum"]) / 2
    elif "multipleOf" in schema:
        least = (least / step).to_integral_value(ROUND_CEILING) * step
    return int(least) if least == least.to_integral_value() else float(least)
