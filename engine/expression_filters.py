"""The filters that expressions may use: few, total, and bounded in what they can build. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from engine.wording import kind_of, shown

MAX_TEXT = 1_000_000  # characters an expression may give or build


class ExpressionFailed(ValueError):
    """An expression compiled, but could not be computed from these values; the text says why."""


def in_text(value: Any) -> str:
    """How a value stands in a text: null is nothing, booleans as JSON has them."""
    if value is None:
        return ""
    if isinstance(value, list | tuple | dict):
        raise ExpressionFailed(f"{kind_of(value)} can't stand in a text; take a key of it, or join it")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # 7 and 7.0 are one number to a caller
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_text(value: Any) -> str:
    """A text, or a plain value as one."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return in_text(value)
    raise ExpressionFailed(f"a text is wanted, not {kind_of(value)}")


def _sequence(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        return value
    raise ExpressionFailed(f"a list or a text is wanted, not {kind_of(value)}")


def _number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ExpressionFailed(f"a number is wanted, not {kind_of(value)}")


def _round(value: Any, digits: int = 0) -> Any:
    """Round half up, as people expect; without digits the result is a whole number."""
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise ExpressionFailed("round takes 0 to 15 digits")
    number = _number(value)
    if digits == 0:
        return math.floor(number + 0.5)
    return math.floor(number * 10**digits + 0.5) / 10**digits


def _replace(value: Any, old: Any, new: Any) -> str:
    text, wanted, given = as_text(value), as_text(old), as_text(new)
    if len(text) + text.count(wanted) * max(0, len(given) - len(wanted)) > MAX_TEXT:
        raise ExpressionFailed(f"the text is longer than {MAX_TEXT} characters")
    return text.replace(wanted, given)


def _join(value: Any, separator: Any = "") -> str:
    parts = [as_text(part) for part in _sequence(value)]
    if sum(map(len, parts)) + len(parts) * len(as_text(separator)) > MAX_TEXT:
        raise ExpressionFailed(f"the text is longer than {MAX_TEXT} characters")
    return as_text(separator).join(parts)


def _int(value: Any) -> int:
    return int(value) if isinstance(value, bool) else math.trunc(_parsed(value))


def _parsed(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > 400:
            raise ExpressionFailed("too long for a number")
        try:
            return int(value)
        except ValueError:
            return float(value)
    return _number(value)


def _color(value: Any) -> int:
    """`#rrggbb` or `#rgb` as the number 0xRRGGBB, as EmptyImage and the like take it."""
    digits = as_text(value).removeprefix("#")
    if not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
        raise ExpressionFailed(f"{shown(value)} is no colour; write #rrggbb")
    return int(digits if len(digits) == 6 else "".join(digit * 2 for digit in digits), 16)


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(_number(value)),
    "capitalize": lambda value: as_text(value).capitalize(),
    "color": _color,
    "default": lambda value, other: other if value is None else value,
    "first": lambda value: _sequence(value)[0],
    "float": lambda value: float(_parsed(value)),
    "int": _int,
    "join": _join,
    "last": lambda value: _sequence(value)[-1],
    "length": lambda value: len(value if isinstance(value, dict) else _sequence(value)),
    "lower": lambda value: as_text(value).lower(),
    "max": lambda value: max(map(_number, _sequence(value))),
    "min": lambda value: min(map(_number, _sequence(value))),
    "replace": _replace,
    "round": _round,
    "string": as_text,
    "sum": lambda value: sum(map(_number, _sequence(value))),
    "title": lambda value: as_text(value).title(),
    "trim": lambda value: as_text(value).strip(),
    "upper": lambda value: as_text(value).upper(),
}
