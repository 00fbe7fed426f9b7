"""What is kept of a request, to be shown and searched: neither its secrets nor its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from engine.logs import secrets_in

_LONGEST_BASE64 = 1024
"""Longer runs of base64's characters are a file; a short one can be a word, a hash or a name."""

_LONGEST_TEXT = 20_000
_LONGEST_DOCUMENT = 1_000_000
_LONGEST_SEARCH = 20_000
"""All in characters."""

_SECRET_KEYS = frozenset({"s3Config", "comfy_org_api_key", "api_key_comfy_org"})
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\-\r\n]+")


def shown_of(document: Any) -> tuple[Any, bool]:
    """A request as it is kept once its job has ended, and shown at any time.

    Left out are the keys that hold secrets (`s3Config`, `comfy_org_api_key`, a media reference's `headers`). Texts
    that stand under a name such as `api_key`, and those that are long (base64 of files), become null.

    Args:
        document: a job's input, no deeper than `engine.replies.MOST_LEVELS`.

    Returns:
        What is left, and whether anything of it became null.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return None, True
    walk = _Walk(frozenset(secrets_in(document)))
    try:
        kept = walk.kept(document, outermost=True)
        if len(json.dumps(kept)) > _LONGEST_DOCUMENT:
            return None, True
    except RecursionError:
        return None, True
    return kept, walk.shortened


def searchable(*parts: Any) -> str:
    """The words of some documents as the history is searched for them: in small letters, a line for each."""
    found: list[str] = []
    length = 0
    for text in _words(list(parts)):
        found.append(text.casefold())
        length += len(text) + 1
        if length > _LONGEST_SEARCH:
            break
    return "\n".join(found)[:_LONGEST_SEARCH]


def _words(parts: list[Any]) -> Iterator[str]:
    waiting = list(reversed(parts))
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += reversed(list(value.values()))
        elif isinstance(value, list | tuple):
            waiting += reversed(value)
        elif isinstance(value, str):
            yield value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield str(value)


class _Walk:
    """One walk through a document.

    Args:
        secrets: texts that are left out wherever they stand.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        self._secrets = secrets
        self.shortened = False

    def kept(self, value: Any, *, outermost: bool = False) -> Any:
        """What is left of a value."""
        if isinstance(value, str):
            if value in self._secrets or _is_file(value) or len(value) > _LONGEST_TEXT:
                self.shortened = True
                return None
            return value
        if isinstance(value, dict):
            dropped = {"headers"} if "url" in value else set()
            if outermost:
                dropped |= _SECRET_KEYS
            return {str(key): self.kept(each) for key, each in value.items() if key not in dropped}
        if isinstance(value, list | tuple):
            return [self.kept(each) for each in value]
        return value


def _is_file(text: str) -> bool:
    if len(text) <= _LONGEST_BASE64:
        return False
    return text[:5].lower() == "data:" or _BASE64.fullmatch(text) is not None
