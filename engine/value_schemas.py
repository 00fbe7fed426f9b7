"""How each type of parameter is checked, as pydantic-core schemas. Pure.

The places are bent where pydantic's lax or strict reading differs from JSON Schema's: `20.0` is an integer, `true` is
no number, `multipleOf` is exact in decimal, patterns are Python's and are searched for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError, core_schema

from engine.media_forms import media_core_schema
from engine.schema import (
    MEDIA_TYPES,
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
from engine.wording import did_you_mean, listed

RANDOM_SEED = -1


def fields_schema(parameters: Mapping[str, Parameter], *, with_defaults: bool) -> core_schema.CoreSchema:
    """An object of parameters; with their defaults filled in where it is nested in a payload."""
    fields = {}
    for name, parameter in parameters.items():
        schema = _schema(parameter)
        if with_defaults and not parameter.required:
            schema = core_schema.with_default_schema(schema, default=parameter.default)
        fields[name] = core_schema.typed_dict_field(schema, required=parameter.required)
    return core_schema.typed_dict_schema(fields, extra_behavior="forbid", total=False, strict=True)


def _schema(parameter: Parameter, *, item: bool = False) -> core_schema.CoreSchema:
    schema = _BUILDERS[parameter.type](parameter)
    return core_schema.nullable_schema(schema) if is_nullable(parameter, item=item) else schema


def is_nullable(parameter: Parameter, *, item: bool = False) -> bool:
    """Whether null may be sent for it.

    Args:
        parameter: what the map says.
        item: it stands for the items of a list. A file there is left out by not sending it, and so is null only where
            the map gives that as its default.
    """
    return parameter.has_default and parameter.default is None if item else parameter.nullable


def _string(parameter: StringParameter) -> core_schema.CoreSchema:
    schema: core_schema.CoreSchema = core_schema.str_schema(
        # With a least length pydantic-core reads the text as Unicode, and so refuses lone surrogates.
        strict=True,
        min_length=parameter.min_length or 0,
        max_length=parameter.max_length,
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
    return media_core_schema()


def _array(parameter: ArrayParameter) -> core_schema.CoreSchema:
    return core_schema.list_schema(
        _schema(parameter.items, item=True), strict=True, min_length=parameter.min_items, max_length=parameter.max_items
    )


def _object(parameter: ObjectParameter) -> core_schema.CoreSchema:
    return fields_schema(parameter.properties, with_defaults=True)


def _boolean(_: BooleanParameter) -> core_schema.CoreSchema:
    return core_schema.bool_schema(strict=True)


_BUILDERS: dict[str, Callable[[Any], core_schema.CoreSchema]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "seed": _seed,
    **dict.fromkeys(MEDIA_TYPES, _media),
    "array": _array,
    "object": _object,
}
