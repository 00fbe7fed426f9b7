"""From the parameters of a map to a validator of payloads and to their JSON Schema. Pure.

Built on pydantic-core, which checks a payload in microseconds, with the places bent where its lax or strict reading
differs from JSON Schema's: `20.0` is an integer, `true` is no number, `multipleOf` is exact in decimal, patterns are
Python's and are searched for.
"""

from __future__ import annotations

import copy
import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError, SchemaValidator, ValidationError, core_schema

from engine.errors import InvalidPayload, Problem
from engine.map_file import join_path
from engine.schema import (
    ArrayParameter,
    BooleanParameter,
    IntegerParameter,
    MediaParameter,
    NumberParameter,
    ObjectParameter,
    Parameter,
    SeedParameter,
    StringParameter,
)
from engine.wording import did_you_mean, kind_of, listed, shown

DRAWN_SEED_BITS = 53  # JavaScript callers read whole numbers exactly up to 2^53
RANDOM_SEED = -1

Choices = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class ChoiceList:
    """A parameter, maybe inside others, whose values come from a list of the node catalogue.

    Attributes:
        path: where it is in a payload; `*` stands for every item of an array.
        reference: `Class.input`.
    """

    path: tuple[str, ...]
    reference: str


class PayloadValidator:
    """Checks payloads against parameters and fills in what they leave out.

    Args:
        parameters: by name, in the order of the map.
        defaults: the value of each parameter that is not required and not a seed.
        choice_lists: the parameters whose values come from lists.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        defaults: Mapping[str, Any],
        choice_lists: Sequence[ChoiceList] = (),
    ) -> None:
        self._parameters = parameters
        self._choice_lists = choice_lists
        self._seeds = {
            name: min(2**DRAWN_SEED_BITS, each.maximum + 1)
            for name, each in parameters.items()
            if isinstance(each, SeedParameter)
        }
        self._blank = {name: defaults.get(name) for name in parameters}
        self._mutable = tuple(name for name, value in self._blank.items() if isinstance(value, list | dict))
        for name in self._seeds:
            self._blank[name] = defaults.get(name, RANDOM_SEED)
        self._validator = SchemaValidator(_fields_schema(parameters, with_defaults=False))

    def validate(self, payload: Any, choices: Choices) -> dict[str, Any]:
        """The values of a payload.

        Args:
            payload: what the caller sent.
            choices: `Class.input` to what it takes; a reference that is missing takes anything.

        Returns:
            Every parameter with its value, seeds drawn.

        Raises:
            InvalidPayload: with every problem.
        """
        try:
            given = self._validator.validate_python(payload)
        except ValidationError as error:
            problems = list(self._problems(error, payload))
            if isinstance(payload, dict):
                refused = {problem.where for problem in problems}
                problems += [each for each in self._choice_problems(payload, choices) if each.where not in refused]
            raise InvalidPayload(problems=problems) from None
        if self._choice_lists and (problems := list(self._choice_problems(given, choices))):
            raise InvalidPayload(problems=problems)
        values = {**self._blank, **given}
        for name in self._mutable:
            values[name] = copy.deepcopy(values[name])
        for name, below in self._seeds.items():
            if values[name] == RANDOM_SEED:
                values[name] = secrets.randbelow(below)
        return values

    def _choice_problems(self, payload: Mapping[str, Any], choices: Choices) -> Iterator[Problem]:
        for choice_list in self._choice_lists:
            allowed = choices.get(choice_list.reference)
            if allowed is None:
                continue
            for where, value in _values_at(payload, choice_list.path):
                if value not in allowed and isinstance(value, str):
                    guess = did_you_mean(value, [each for each in allowed if isinstance(each, str)])
                    there = f"the choices are: {listed(allowed)}" if allowed else "there is none on this ComfyUI"
                    yield Problem(join_path(where), f"{shown(value)} is not a choice{guess}; {there}")

    def _problems(self, error: ValidationError, payload: Any) -> Iterator[Problem]:
        if not isinstance(payload, dict):
            yield Problem("", f"the payload must be an object of parameters (got {kind_of(payload)})")
            return
        for item in error.errors(include_url=False):
            location = item["loc"]
            yield Problem(join_path(location), self._message(item, self._at(location)))

    def _at(self, location: Sequence[int | str]) -> Any:
        """The parameter at a place of a payload, or the names that may stand there where it is unknown."""
        here: Any = ObjectParameter.model_construct(type="object", properties=dict(self._parameters))
        for step in location:
            if isinstance(here, ArrayParameter) and isinstance(step, int):
                here = here.items
            elif isinstance(here, ObjectParameter) and step in here.properties:
                here = here.properties[str(step)]
            else:
                return list(here.properties) if isinstance(here, ObjectParameter) else []
        return here

    def _message(self, item: Any, parameter: Any) -> str:
        kind, value, context = item["type"], item["input"], item.get("ctx", {})
        got = "" if isinstance(parameter, MediaParameter) else f" (got {shown(value)})"
        if kind == "extra_forbidden":
            known = parameter if isinstance(parameter, list) else []
            name = str(item["loc"][-1])
            return f"unknown parameter{did_you_mean(name, known)}; the parameters are: {listed(known)}"
        if kind == "missing":
            return "is required"
        if kind in _BOUND_MESSAGES:
            key, text = _BOUND_MESSAGES[kind]
            return text.format(_number_text(context[key])) + got
        if kind in {"string_too_short", "string_too_long"}:
            low = kind == "string_too_short"
            bound = context["min_length" if low else "max_length"]
            length = "" if isinstance(parameter, MediaParameter) else f" (got {len(value)})"
            if low and bound == 1:
                return "must not be empty"
            return f"must have {'at least' if low else 'at most'} {_count(bound, 'character')}{length}"
        if kind in {"too_short", "too_long"}:
            low = kind == "too_short"
            bound = context["min_length" if low else "max_length"]
            return f"must have {'at least' if low else 'at most'} {_count(bound, 'item')} (got {len(value)})"
        if kind.startswith("engine_"):
            return f"{item['msg']}{got}"
        if kind == "string_unicode":
            return "must be valid Unicode text (it has a lone surrogate)"
        return f"must be {_wanted(parameter)}{got or f' (got {kind_of(value)})'}"


_BOUND_MESSAGES = {
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "greater_than": ("gt", "must be above {}"),
    "less_than": ("lt", "must be below {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
}


def _number_text(number: Any) -> str:
    """A bound without the `.0` that pydantic gives to whole floats."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _wanted(parameter: Any) -> str:
    words = {
        "string": "a string",
        "integer": "a whole number",
        "number": "a finite number",
        "boolean": "true or false",
        "seed": "a whole number, or -1 for a random one",
        "array": "an array",
        "object": "an object",
    }
    kind = getattr(parameter, "type", "object")
    return words.get(kind, f"a string that refers to a {kind}: a data URI or base64")


def _values_at(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    if not path:
        yield (), value
    elif path[0] == "*":
        if isinstance(value, list):
            for index, item in enumerate(value):
                for where, found in _values_at(item, path[1:]):
                    yield (index, *where), found
    elif isinstance(value, dict) and path[0] in value:
        for where, found in _values_at(value[path[0]], path[1:]):
            yield (path[0], *where), found


# --- pydantic-core schemas ------------------------------------------------------------------------------------


def _fields_schema(parameters: Mapping[str, Parameter], *, with_defaults: bool) -> core_schema.CoreSchema:
    fields = {}
    for name, parameter in parameters.items():
        schema = _schema(parameter)
        if with_defaults and not parameter.required:
            schema = core_schema.with_default_schema(schema, default=parameter.default)
        fields[name] = core_schema.typed_dict_field(schema, required=parameter.required)
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", total=False, strict=True)


def _schema(parameter: Parameter) -> core_schema.CoreSchema:
    schema = _BUILDERS[parameter.type](parameter)
    return core_schema.nullable_schema(schema) if is_nullable(parameter) else schema


def is_nullable(parameter: Parameter) -> bool:
    """Whether null may be sent for it."""
    return parameter.nullable


def _string(parameter: StringParameter) -> core_schema.CoreSchema:
    schema: core_schema.CoreSchema = core_schema.str_schema(
        strict=True, min_length=parameter.min_length, max_length=parameter.max_length
    )
    if parameter.pattern is not None:
        pattern = re.compile(parameter.pattern)

        def matches(value: str) -> str:
            if not pattern.search(value):
                raise PydanticCustomError("engine_pattern", "must match {pattern}", {"pattern": pattern.pattern})
            return value

        schema = core_schema.no_info_after_validator_function(matches, schema)
    return _with_enum(schema, parameter.enum)


def _integer(parameter: IntegerParameter) -> core_schema.CoreSchema:
    whole = {
        key: None if bound is None else int(bound)
        for key, bound in (
            ("ge", parameter.minimum),
            ("le", parameter.maximum),
            ("gt", parameter.exclusive_minimum),
            ("lt", parameter.exclusive_maximum),
            ("multiple_of", parameter.multiple_of),
        )
    }
    schema = core_schema.no_info_before_validator_function(
        _whole,
        core_schema.int_schema(strict=True, **whole),  # type: ignore[arg-type]
    )
    return _with_enum(schema, parameter.enum)


def _whole(value: Any) -> Any:
    """JSON Schema's integer: 20.0 is one."""
    return int(value) if type(value) is float and value.is_integer() else value


def _number(parameter: NumberParameter) -> core_schema.CoreSchema:
    schema: core_schema.CoreSchema = core_schema.no_info_before_validator_function(
        _finite,
        core_schema.float_schema(
            strict=True,
            allow_inf_nan=False,
            ge=parameter.minimum,
            le=parameter.maximum,
            gt=parameter.exclusive_minimum,
            lt=parameter.exclusive_maximum,
        ),
    )
    if parameter.multiple_of is not None:
        schema = core_schema.no_info_after_validator_function(_multiple_of(parameter.multiple_of), schema)
    return _with_enum(schema, parameter.enum)


def _finite(value: Any) -> Any:
    """A whole number too large for a float is no number we can use."""
    if type(value) is int and not -(2**1023) < value < 2**1023:
        return math.inf
    return value


def _multiple_of(divisor: float) -> Callable[[float], float]:
    exact = Decimal(str(divisor))

    def check(value: float) -> float:
        # By the decimal digits that people wrote: 0.07 is a multiple of 0.01, which in binary it is not. A quotient
        # of more digits than decimal's context is no multiple that anyone meant.
        quotient = Decimal(repr(value)) / exact
        if quotient != quotient.to_integral_value():
            raise PydanticCustomError("engine_multiple_of", "must be a multiple of {bound}", {"bound": str(divisor)})
        return value

    return check


def _with_enum(schema: core_schema.CoreSchema, enum: Sequence[Any] | None) -> core_schema.CoreSchema:
    if enum is None:
        return schema
    names, text = frozenset(enum), listed(enum)

    def check(value: Any) -> Any:
        if value not in names:
            guess = did_you_mean(value, enum) if isinstance(value, str) else ""
            raise PydanticCustomError(
                "engine_enum",
                "must be one of: {text}{guess}",
                {"text": text, "guess": guess},
            )
        return value

    return core_schema.no_info_after_validator_function(check, schema)


def _seed(parameter: SeedParameter) -> core_schema.CoreSchema:
    seed = core_schema.int_schema(strict=True, ge=RANDOM_SEED, le=parameter.maximum)
    return core_schema.no_info_before_validator_function(_whole, seed)


def _media(_: MediaParameter) -> core_schema.CoreSchema:
    return core_schema.str_schema(strict=True, min_length=1)


def _array(parameter: ArrayParameter) -> core_schema.CoreSchema:
    return core_schema.list_schema(
        _schema(parameter.items), strict=True, min_length=parameter.min_items, max_length=parameter.max_items
    )


def _object(parameter: ObjectParameter) -> core_schema.CoreSchema:
    return _fields_schema(parameter.properties, with_defaults=True)


def _boolean(_: BooleanParameter) -> core_schema.CoreSchema:
    return core_schema.bool_schema(strict=True)


_BUILDERS: dict[str, Callable[[Any], core_schema.CoreSchema]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "seed": _seed,
    **dict.fromkeys(("image", "mask", "video", "audio", "file"), _media),
    "array": _array,
    "object": _object,
}
