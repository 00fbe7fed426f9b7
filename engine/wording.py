"""How messages put values, lists and guesses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_SHOWN_CHARACTERS = 60
_LISTED = 20
_LISTED_CHOICES = 8
_A_SLIP = 0.8


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name most like the given one; None where none is alike: 0 takes any, 1 the same alone."""
    import difflib  # only mistakes need it

    candidates = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "steps"?)`, or nothing where no known name is alike."""
    names = list(known)
    # A slip of the finger first, then what the same thing is called elsewhere: num_inference_steps, cfg, init_image.
    near = nearest(name, names, cutoff=_A_SLIP) or _of_the_same_words(name, names) or nearest(name, names)
    return f' (did you mean "{near}"?)' if near else ""


def count_of(number: int, thing: str) -> str:
    """`1 item`, `2 items`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _of_the_same_words(name: str, known: Iterable[str]) -> str | None:
    """The known name that is one of the words of a name, or that has all of them; None where there is none."""
    words = name.lower().split("_")
    names = {each.lower(): each for each in known}
    held = (names[word] for word in words if word in names)
    return next(held, None) or next((names[each] for each in names if set(words) <= set(each.split("_"))), None)


def not_available(value: Any, choices: Iterable[Any], *, files: bool) -> str:
    """What is said of a value that is none of the choices, in a payload and in a graph alike.

    Args:
        value: what was asked for.
        choices: what there is.
        files: the choices are files of this worker: they are listed then, and compared without their suffixes, which
            are alike in all of them.
    """
    found = list(choices)
    asked = shorter(value if isinstance(value, str) else shown(value), 100)
    near = _nearest_choice(asked, [each for each in found if isinstance(each, str)], files=files)
    said = f"{shown(value)} is not {'on this worker' if files else 'available'}"
    if not found:
        return f"{said}; there is none"
    if near is None:
        return f"{said}; available: {listed(found, most=_LISTED_CHOICES)}"
    said += f'; did you mean "{shorter(near, 100)}"?'
    return f"{said} Available: {listed(found, most=_LISTED_CHOICES)}" if files and len(found) > 1 else said


def _nearest_choice(asked: str, choices: list[str], *, files: bool) -> str | None:
    if not files:
        return nearest(asked, choices)
    stem = _stem(asked)
    whole = {_stem(each): each for each in reversed(choices)}
    # Names of models are long, and people know how they begin: v1-5-pruned is v1-5-pruned-emaonly-fp16.
    begun = {name[: len(stem)]: each for name, each in whole.items() if len(name) > len(stem) > 3}
    return whole.get(nearest(stem, whole) or "") or begun.get(nearest(stem, begun, cutoff=0.8) or "")


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and "/" not in suffix and "\\" not in suffix else name


def one_line(text: str, most: int) -> str:
    """The text in one line, cut where it has more characters."""
    return shorter(" ".join(text.split()), most)


def shorter(text: str, most: int) -> str:
    """The text, cut where it has more characters; without halves of characters."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"


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


def listed(names: Iterable[Any], *, most: int = _LISTED) -> str:
    """`a, b, c`, cut where there are many."""
    texts = [shorter(name, 100) if isinstance(name, str) else shown(name) for name in names]
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "") if texts else "(none)"
