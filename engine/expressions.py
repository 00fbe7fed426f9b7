"""Jinja2 expressions in a locked sandbox, their types kept. Pure.

Text that holds `{{` is a template and gives a string; anything else is a bare expression and keeps its type. Only
an allowed list of syntax compiles: no calls, no statements, no globals. Dots look up keys of objects, never
attributes. Values that a caller sent are data: they are never compiled. Sizes are bounded where operators and
filters could multiply them, since the stock sandbox lets `'a' * 50000000` through.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from engine.expression_filters import FILTERS, MAX_TEXT, ExpressionFailed, as_text
from engine.expression_sandbox import MAX_BITS, MAX_ITEMS, TESTS, Locked, value_at
from engine.wording import did_you_mean, kind_of, listed

MAX_SOURCE = 10_000  # characters of an expression

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


_ENVIRONMENT = Locked()


class Names:
    """Names and their values, for expressions to be computed from; those over the same values share one.

    Jinja2's own form of it is made where an expression needs that: one that only looks something up does not.

    Args:
        values: by name; not to be changed while this is in use.
        more: others, which come first.
    """

    __slots__ = ("_context", "_more", "_values")

    def __init__(self, values: dict[str, Any], more: dict[str, Any] | None = None) -> None:
        self._values = values
        self._more = more or {}
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """As Jinja2 takes it."""
        if self._context is None:
            values = {**self._values, **self._more} if self._more else self._values
            self._context = Locked.context_class(_ENVIRONMENT, values, None, {})
        return self._context

    def with_item(self, item: Any) -> Names:
        """These, and one `item`."""
        return Names(self._values, {"item": item})

    def at(self, path: tuple[str, ...]) -> Any:
        """What lies at a name and keys below it.

        Raises:
            ExpressionFailed: there is nothing.
        """
        name = path[0]
        if name in self._more:
            value = self._more[name]
        elif name in self._values:
            value = self._values[name]
        else:
            raise ExpressionFailed(f"'{name}' is undefined")
        return value_at(value, path[1:]) if len(path) > 1 else value


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: as written.
        names: the names it uses.
        is_template: it is text with `{{ … }}` and gives a string.
        path: the name and the keys below it, where it is nothing but these (`item.strength`); empty for all others.
    """

    source: str
    names: frozenset[str]
    is_template: bool
    path: tuple[str, ...]
    _template: Template

    def misfit(self, wanted: str | None) -> str | None:
        """Why it can never give what is wanted, in words (`a number`); None where it may, or all is wanted."""
        if not self.is_template or wanted is None:
            return None
        return f"it must give {wanted}, and with {{{{ }}}} it gives a text; write the bare expression"

    def evaluate(self, names: Names) -> Any:
        """Compute it.

        Args:
            names: of `context_of`.

        Returns:
            A value of JSON's types, bounded in size.

        Raises:
            ExpressionFailed: the values do not allow it (a division by zero, a missing key).
        """
        try:
            if self.path:
                return _bounded(names.at(self.path))
            context = names.context
            texts = self._template.root_render_func(context)
            if self.is_template:
                return _concatenated(texts)
            for _ in texts:  # there are none; the value is there once it has run
                pass
            return _bounded(context.vars[_RESULT])
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


def context_of(values: Mapping[str, Any], **more: Any) -> Names:
    """What expressions are computed from: names and their values."""
    return Names({**values, **more})


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
        path = () if is_template else _path_of(tree)
        used = frozenset(node.name for node in tree.find_all(nodes.Name) if node.ctx == "load")
        template = _ENVIRONMENT.from_string(_Prepared().visit(tree))
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
    return Expression(source, used, is_template, path, template)


def _path_of(tree: nodes.Template) -> tuple[str, ...]:
    assign = tree.body[0]
    found: nodes.Node | None = assign.node if isinstance(assign, nodes.Assign) else None
    keys = []
    while isinstance(found, nodes.Getattr):
        keys.append(found.attr)
        found = found.node
    return (found.name, *reversed(keys)) if isinstance(found, nodes.Name) else ()


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


class _Prepared(NodeTransformer):
    """`a ~ b` becomes `[a, b]|join`, which is bounded; numbers that are reckoned with alone, the result."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        """Whatever is no `~`."""
        node = super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.BinExpr) and node.operator in Locked.intercepted_binops:
            left, right = node.left, node.right
            if isinstance(left, nodes.Const) and isinstance(right, nodes.Const):
                return _reckoned(node, left.value, right.value)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 - Jinja2's name for it
        parts = nodes.List([self.visit(part) for part in node.nodes], lineno=node.lineno)
        joined = nodes.Filter(parts, "join", [], [], None, None, lineno=node.lineno)
        joined.set_environment(_ENVIRONMENT)
        return joined


def _reckoned(node: nodes.BinExpr, left: Any, right: Any) -> nodes.Node:
    """The number that an operator gives; the operator itself where it gives none, to fail when it is computed."""
    with contextlib.suppress(ExpressionFailed, ArithmeticError, TypeError, ValueError):
        result = _ENVIRONMENT.call_binop(Names({}).context, node.operator or "", left, right)
        if type(result) in {int, float} and math.isfinite(result):
            return nodes.Const(result, lineno=node.lineno)
    return node


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
        if isinstance(node, nodes.Test) and node.name not in TESTS:
            raise ExpressionInvalid(
                f'no test "{node.name}"{did_you_mean(node.name, TESTS)}; the tests are: {listed(TESTS)}'
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


def _bounded(value: Any) -> Any:
    """A result, if it is of JSON's types and of a bearable size; containers are the caller's own."""
    kind = type(value)
    if kind is str and len(value) <= MAX_TEXT:
        return value
    if value is None or kind is bool or (kind is float and math.isfinite(value)):
        return value
    return _Budget().checked(value)


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
