"""Jinja2 expressions in a locked sandbox, their types kept. Pure.

Text that holds `{{` is a template and gives a string; anything else is a bare expression and keeps its type. Only
an allowed list of syntax compiles: no calls, no statements, no globals. Dots look up keys of objects, never
attributes. Values that a caller sent are data: they are never compiled. Sizes are bounded where operators and
filters could multiply them, since the stock sandbox lets `'a' * 50000000` through.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from engine.expression_filters import FILTERS, MAX_TEXT, ExpressionFailed, as_text, in_text
from engine.wording import did_you_mean, kind_of, listed

MAX_ITEMS = 10_000  # of a list it may give or build
MAX_BITS = 1024  # of a whole number; a payload's largest float has as many
MAX_SOURCE = 10_000  # characters of an expression

_Number = (int, float)
_RESULT = "_result"  # no parameter can have this name, so expressions can share one context


class ExpressionInvalid(ValueError):
    """An expression can't be compiled; the text says why."""


_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.Neg,
    nodes.Pos,
    nodes.Not,
    nodes.And,
    nodes.Or,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
)
_FORBIDDEN = {
    nodes.Call: "calls are not allowed",
    nodes.Keyword: "named arguments are not allowed",
    nodes.Stmt: "statements are not allowed; use {{ … if … else … }}",
}


_TESTS = ("none", "string", "number", "boolean", "true", "false", "odd", "even")


class _Locked(SandboxedEnvironment):
    """The sandbox with key look-up only and bounded operators."""

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
        self.tests = {name: self.tests[name] for name in _TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._key(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, list | tuple | str) and (isinstance(argument, slice) or type(argument) is int):
            return obj[argument]
        return self._key(obj, argument)

    def _key(self, obj: Any, key: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(key, str):
            if key in obj:
                return obj[key]
            raise ExpressionFailed(f'no key "{key}"{did_you_mean(key, obj)}; there are: {listed(obj)}')
        raise ExpressionFailed(f'"{key}" of {kind_of(obj)} does not exist; only keys of objects can be looked up')

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and _same_sequence(left, right):
            if len(left) + len(right) > (MAX_TEXT if isinstance(left, str) else MAX_ITEMS):
                raise ExpressionFailed("the result is too large")
            return left + right
        for operand in (left, right):
            if isinstance(operand, bool) or not isinstance(operand, _Number):
                raise ExpressionFailed(f'"{operator}" takes numbers, not {kind_of(operand)}; join texts with ~')
        if operator == "**" and (abs(right) > MAX_BITS or _bits(left) * abs(right) > MAX_BITS):
            raise ExpressionFailed("the number is too large")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, complex) or _bits(result) > 2 * MAX_BITS:
            raise ExpressionFailed("the number is too large, or not a real number")
        return result


def _same_sequence(left: Any, right: Any) -> bool:
    return (isinstance(left, str) and isinstance(right, str)) or (isinstance(left, list) and isinstance(right, list))


def _bits(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else 0


_ENVIRONMENT = _Locked()


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: as written.
        names: the names it uses.
        is_template: it is text with `{{ … }}` and gives a string.
    """

    source: str
    names: frozenset[str]
    is_template: bool
    _template: Template

    def misfit(self, wanted: str | None) -> str | None:
        """Why it can never give what is wanted, in words (`a number`); None where it may, or all is wanted."""
        if not self.is_template or wanted is None:
            return None
        return f"it must give {wanted}, and with {{{{ }}}} it gives a text; write the bare expression"

    def evaluate(self, context: Context) -> Any:
        """Compute it.

        Args:
            context: of `context_of`; expressions over the same values share one.

        Returns:
            A value of JSON's types, bounded in size.

        Raises:
            ExpressionFailed: the values do not allow it (a division by zero, a missing key).
        """
        try:
            text = _concatenated(self._template.root_render_func(context))
            return text if self.is_template else _Budget().checked(context.vars[_RESULT])
        except ExpressionFailed:
            raise
        except UndefinedError as error:
            raise ExpressionFailed(str(error)) from error
        except ZeroDivisionError as error:
            raise ExpressionFailed("division by zero") from error
        except (ArithmeticError, TypeError, ValueError, LookupError, TemplateError) as error:
            raise ExpressionFailed(str(error) or type(error).__name__) from error
        except RecursionError as error:
            raise ExpressionFailed("nested too deeply") from error


def context_of(values: Mapping[str, Any]) -> Context:
    """What expressions are computed from: names and their values."""
    return _EMPTY.new_context(dict(values), shared=True)


def compile_expression(source: str, names: Iterable[str]) -> Expression:
    """Compile an expression.

    Args:
        source: the text; with `{{` in it a template, else a bare expression.
        names: what it may use.

    Raises:
        ExpressionInvalid: not an expression, something that is not allowed in one, or an unknown name.
    """
    if len(source) > MAX_SOURCE:
        raise ExpressionInvalid(f"longer than {MAX_SOURCE} characters")
    is_template = "{{" in source
    try:
        tree = _ENVIRONMENT.parse(source) if is_template else _parse_bare(source)
        _refuse_forbidden(tree)
        used = frozenset(node.name for node in tree.find_all(nodes.Name) if node.ctx == "load")
        template = _ENVIRONMENT.from_string(_BoundedConcat().visit(tree))
    except TemplateSyntaxError as error:
        raise ExpressionInvalid(f"not an expression: {error.message}") from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise ExpressionInvalid("nested too deeply") from error
    known = set(names)
    unknown = sorted(used - known)
    if unknown:
        guess = did_you_mean(unknown[0], known)
        raise ExpressionInvalid(
            f"unknown name {listed(unknown)}{guess}; the names are: {listed(sorted(known))}"
            + ("" if guess else "; a constant text is quoted: 'like this'")
        )
    return Expression(source, used, is_template, template)


def _parse_bare(source: str) -> nodes.Template:
    """A template that keeps the expression's value instead of making text of it.

    As `Environment.compile_expression` does (Jinja2 3.1), which would turn unknown names into None.
    """
    parser = Parser(_ENVIRONMENT, source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError(f"unexpected {str(parser.stream.current)!r} after it", 1)
    assign = nodes.Assign(nodes.Name(_RESULT, "store", lineno=1), expression, lineno=1)
    tree = nodes.Template([assign], lineno=1)
    tree.set_environment(_ENVIRONMENT)
    return tree


class _BoundedConcat(NodeTransformer):
    """`a ~ b` becomes `[a, b]|join`, which is bounded."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 - Jinja2's name for it
        parts = nodes.List([self.visit(part) for part in node.nodes], lineno=node.lineno)
        joined = nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)
        joined.set_environment(_ENVIRONMENT)
        return joined


def _refuse_forbidden(tree: nodes.Template) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            words = next((text for kind, text in _FORBIDDEN.items() if isinstance(node, kind)), None)
            if _is_own_assignment(node):
                continue
            raise ExpressionInvalid(words or f"{type(node).__name__.lower()} is not allowed")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise ExpressionInvalid(
                f'no filter "{node.name}"{did_you_mean(node.name, FILTERS)}; the filters are: {listed(FILTERS)}'
            )
        if isinstance(node, nodes.Filter) and (node.kwargs or node.dyn_args or node.dyn_kwargs):
            raise ExpressionInvalid("named arguments are not allowed")
        if isinstance(node, nodes.Filter) and not _takes(FILTERS[node.name], 1 + len(node.args)):
            raise ExpressionInvalid(f'the filter "{node.name}" takes another number of arguments')
        if isinstance(node, nodes.Test) and node.name not in _TESTS:
            raise ExpressionInvalid(
                f'no test "{node.name}"{did_you_mean(node.name, _TESTS)}; the tests are: {listed(_TESTS)}'
            )


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _is_own_assignment(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Assign) and getattr(node.target, "name", None) == _RESULT


def _concatenated(parts: Iterable[str]) -> str:
    texts, length = [], 0
    for part in parts:
        length += len(part)
        if length > MAX_TEXT:
            raise ExpressionFailed(f"the text is longer than {MAX_TEXT} characters")
        texts.append(part)
    return "".join(texts)


class _Budget:
    """What one result may hold altogether: items, and characters of text."""

    def __init__(self) -> None:
        self.items = MAX_ITEMS
        self.characters = MAX_TEXT

    def checked(self, value: Any, depth: int = 0) -> Any:
        """The value, if it is of JSON's types and of a bearable size."""
        kind = type(value)
        if kind is int and value.bit_length() > MAX_BITS:
            raise ExpressionFailed("the number is too large")
        if kind is float and not math.isfinite(value):
            raise ExpressionFailed("the result is not a finite number")
        if kind is str:
            self.characters -= len(value)
            if self.characters < 0:
                raise ExpressionFailed(f"the text is longer than {MAX_TEXT} characters")
        if kind in {int, float, str, bool} or value is None:
            return value
        if kind in {list, tuple, dict} and depth < 8:
            self.items -= len(value)
            if self.items >= 0:
                if kind is dict:
                    return {as_text(key): self.checked(item, depth + 1) for key, item in value.items()}
                return [self.checked(item, depth + 1) for item in value]
        raise ExpressionFailed(f"the result is {kind_of(value)}, too large or nested too deeply")


_EMPTY = _ENVIRONMENT.from_string("")
