"""Parameters in the expressions of a map: which are used, and under which name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError

_ENVIRONMENT = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - it only splits texts into their words, and renders none


def names_in(expression: str) -> set[str]:
    """The names that an expression of a map uses, parameters and others (`item`, words such as `and`)."""
    return {text for kind, text, is_own in _words(expression) if kind == "name" and is_own}


def renamed(expression: str, before: str, after: str) -> str:
    """The expression, a parameter of it under another name; texts and keys of the same spelling stay."""
    words = _words(expression)
    return "".join(after if kind == "name" and is_own and text == before else text for kind, text, is_own in words)


def _words(expression: str) -> Iterator[tuple[str, str, bool]]:
    """The words of an expression with their kinds, and whether each stands for itself, not for a key or a filter."""
    bare = "{{" not in expression
    try:
        words = [(kind, text) for _, kind, text in _ENVIRONMENT.lex(f"{{{{ {expression} }}}}" if bare else expression)]
    except TemplateSyntaxError:  # what does not compile is told by the check; here it is a text with words in it
        for text in re.split(r"(\w+)", expression):
            yield ("name" if text.isidentifier() else "data"), text, True
        return
    if bare:
        # The braces, and the space beside each that was not in the expression.
        words = words[1:-1]
        words[0] = (words[0][0], words[0][1][1:])
        words[-1] = (words[-1][0], words[-1][1][:-1])
    before = ""
    for kind, text in words:
        yield kind, text, before not in {".", "|"}
        if kind != "whitespace":
            before = text
