"""How messages put values, lists and guesses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_SHOWN_CHARACTERS = 60
_LISTED = 20


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one; None where none is alike."""
    import difflib  # only mistakes need it

    candidates = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "steps"?)`, or nothing where no known name is alike."""
    near = nearest(name, known)
    return f' (did you mean "{near}"?)' if near else ""


def shown(value: Any) -> str:
    """A value for a message: as JSON, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a value of type {type(value).__name__}"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def kind_of(value: Any) -> str:
    """What a value is in JSON's words: `a string`, `an array`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    for types, words in (
        (str, "a string"),
        (int | float, "a number"),
        (list | tuple, "an array"),
        (dict, "an object"),
    ):
        if isinstance(value, types):
            return words
    return f"a {type(value).__name__}"


def listed(names: Iterable[Any]) -> str:
    """`a, b, c`, cut where there are many."""
    texts = [name if isinstance(name, str) else shown(name) for name in names]
    rest = len(texts) - _LISTED
    return ", ".join(texts[:_LISTED]) + (f" and {rest} more" if rest > 0 else "") if texts else "(none)"
