"""Reading the JSON files that people write, strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import InvalidMap, Problem


class _Refused(ValueError):
    """The text is JSON to Python's parser, but not to us."""


def read_json(path: Path, *, label: str) -> Any:
    """The document in a file.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        label: how messages call it.

    Raises:
        InvalidMap: it can't be read, is not JSON, repeats a key, or holds NaN or Infinity.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(label, f"not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise _invalid(label, f"can't be read: {error.strerror}") from error
    return parse_json(text, label=label)


def parse_json(text: str, *, label: str) -> Any:
    """The document in a text; see `read_json`."""
    try:
        document = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
        json.dumps(document, ensure_ascii=False).encode()
        return document
    except UnicodeEncodeError as error:
        raise _invalid(label, "holds half of a character (a lone surrogate, \\ud800 to \\udfff)") from error
    except json.JSONDecodeError as error:
        raise _invalid(label, f"not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from error
    except _Refused as error:
        raise _invalid(label, str(error)) from error
    except RecursionError as error:
        raise _invalid(label, "nested too deeply") from error
    except ValueError as error:
        # Python reads no whole number of more than 4300 digits.
        raise _invalid(label, "holds a number that is too long") from error


def texts_in(document: Any) -> Iterator[str]:
    """Every text in a document, however deep, but for the keys of objects; in no order that means anything."""
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f'the key "{key}" stands twice in one object; keep one')
            seen.add(key)
    return document


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(f"the number {text[:20]} is too large")
    return number


def _refuse_constant(name: str) -> Any:
    raise _Refused(f"{name} is no JSON value")


def _invalid(label: str, message: str) -> InvalidMap:
    return InvalidMap(problems=[Problem("", message, file=label)])
