"""The sandbox that expressions are computed in: Jinja2's own, with key look-up only and bounded operators. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from engine.expression_filters import FILTERS, MAX_TEXT, ExpressionFailed, in_text
from engine.wording import did_you_mean, kind_of, listed

MAX_ITEMS = 10_000  # of a list it may give or build
MAX_BITS = 1024  # of a whole number; a payload's largest float has as many

_NUMBERS = frozenset({int, float})

TESTS = ("none", "string", "number", "boolean", "true", "false", "odd", "even")


class _Names(Context):
    """The context of an expression, made at a third of the cost: an expression has no blocks and exports nothing."""

    def __init__(self, environment: Environment, parent: dict[str, Any], *_: Any, **__: Any) -> None:
        self.parent = parent
        self.vars = {}
        self.environment = environment
        self.eval_ctx = _EVALUATION  # nothing that is allowed in an expression changes it
        self.exported_vars = set()
        self.name = None
        self.globals_keys = set()
        self.blocks = {}


class Locked(SandboxedEnvironment):
    """The sandbox with key look-up only and bounded operators."""

    context_class = _Names
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            optimized=False,  # nothing is computed while compiling
            finalize=in_text,
            keep_trailing_newline=True,
        )
        self.globals.clear()
        self.filters.clear()
        self.filters.update(FILTERS)
        self.tests = {name: self.tests[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` gives."""
        return key_of(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """What `obj[argument]` gives."""
        if isinstance(obj, list | tuple | str) and (isinstance(argument, slice) or type(argument) is int):
            return obj[argument]
        return key_of(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - Jinja2's
        """What an operator gives; numbers alone, but for texts and lists that are joined with `+`."""
        if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
            if operator == "+" and _same_sequence(left, right):
                if len(left) + len(right) > (MAX_TEXT if isinstance(left, str) else MAX_ITEMS):
                    raise ExpressionFailed("the result is too large")
                return left + right
            for operand in (left, right):
                if isinstance(operand, bool) or not isinstance(operand, int | float):
                    raise ExpressionFailed(f'"{operator}" takes numbers, not {kind_of(operand)}; join texts with ~')
        if operator == "**" and (abs(right) > MAX_BITS or _bits(left) * abs(right) > MAX_BITS):
            raise ExpressionFailed("the number is too large")
        result = self.binop_table[operator](left, right)
        kind = type(result)
        if kind is complex or (kind is int and result.bit_length() > 2 * MAX_BITS):
            raise ExpressionFailed("the number is too large, or not a real number")
        return result


def key_of(obj: Any, key: Any) -> Any:
    """What an object of JSON has under a key.

    Raises:
        ExpressionFailed: it has no such key, or is no object.
    """
    if isinstance(obj, Mapping) and isinstance(key, str):
        if key in obj:
            return obj[key]
        raise ExpressionFailed(f'no key "{key}"{did_you_mean(key, obj)}; there are: {listed(obj)}')
    raise ExpressionFailed(f'"{key}" of {kind_of(obj)} does not exist; only keys of objects can be looked up')


def value_at(value: Any, keys: Iterable[str]) -> Any:
    """What lies below a value, key by key; raises as `key_of` does."""
    for key in keys:
        value = value[key] if type(value) is dict and key in value else key_of(value, key)
    return value


def _same_sequence(left: Any, right: Any) -> bool:
    return (isinstance(left, str) and isinstance(right, str)) or (isinstance(left, list) and isinstance(right, list))


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 0


_EVALUATION = EvalContext(Environment(autoescape=False))  # noqa: S701 - it makes texts for models, no pages
