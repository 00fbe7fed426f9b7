"""Replies that arrive: of a length, a depth and characters that the platform takes.

The SDK (runpod 1.12, `rp_http.py`) writes a reply as JSON with its characters as they are, and encodes that as UTF-8.
What can't be written so is never posted, and the job then hangs until the platform's own limit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.errors import EngineError, ResultTooLarge

MOST_LEVELS = 100
"""How deep a document may be nested. Python's JSON reads and writes about 1000 levels, less what the stack holds."""

_LONGEST_MESSAGE = 4_000
_SHORTER_MESSAGES = (500, 100)
_LONGEST_PROBLEM = 1_000

_LEFT_OUT = (
    (("values",), "values"),
    (("thumbnail",), "thumbnails"),
    (("values", "thumbnail"), "values and thumbnails"),
)
"""What a reply that is too long goes without, first the least missed: keys, and the word for them."""


def fitting(reply: dict[str, Any], limit_bytes: int) -> dict[str, Any]:
    """A reply that the platform takes: it loses longer ones while the job shows COMPLETED.

    Args:
        reply: the reply; anything that is not JSON fails here, since the platform would never post it.
        limit_bytes: the most that it may take as JSON.

    Returns:
        The reply; halves of characters replaced by `?`; without the `values`, which the caller sent, or the
        thumbnails, where that makes it fit.

    Raises:
        ResultTooLarge: it does not fit.
        ValueError: it is not JSON, or nested too deeply.
        TypeError: it is not JSON.
    """
    if too_deep(reply):
        raise ValueError(f"the reply is nested more than {MOST_LEVELS} levels deep")
    reply, size = _whole(reply)
    if size <= limit_bytes:
        return reply
    for keys, said in _LEFT_OUT:
        shorter: dict[str, Any] = _without(reply, keys)
        shorter["warnings"] = [*reply.get("warnings", ()), f"the reply was too long: its {said} are left out"]
        if _json_bytes(shorter) <= limit_bytes:
            return shorter
    inline = any("base64" in each for each in reply.get("outputs", ()))
    raise ResultTooLarge(
        f"the reply takes {size} bytes, and at most {limit_bytes} arrive",
        hint="configure a bucket for the results (S3_BUCKET or GCS_BUCKET), or ask for fewer or smaller ones"
        if inline
        else "ask for fewer results at once",
    )


def failure_reply(error: EngineError) -> dict[str, Any]:
    """A failure as callers get it: `error` says enough alone, `failure` is the same, structured."""
    text = f"{error.code}: {error.message}"
    if error.hint:
        text += f". {error.hint[0].upper()}{error.hint[1:]}."
    return {"error": text, "failure": error.failure()}


def fitting_failure(error: EngineError, limit_bytes: int) -> dict[str, Any]:
    """A failure that the platform takes, however much of the request its messages quote."""
    reply, size = _whole(_shortened(failure_reply(error), _LONGEST_MESSAGE))
    for longest in _SHORTER_MESSAGES:
        if size <= limit_bytes:
            break
        reply["failure"]["problems"] = []  # the message says the first of them
        reply, size = _whole(_shortened(reply, longest))
    return reply


def _shortened(reply: dict[str, Any], longest: int) -> dict[str, Any]:
    failure = reply["failure"]
    cut = {key: _cut(failure[key], longest) for key in ("message", "hint")}
    problems = [{key: _cut(text, _LONGEST_PROBLEM) for key, text in each.items()} for each in failure["problems"]]
    return {"error": _cut(reply["error"], longest), "failure": {**failure, **cut, "problems": problems}}


def too_deep(document: Any) -> bool:
    """Whether a document is nested deeper than can be counted on to be written again."""
    level = [document]
    for _ in range(MOST_LEVELS):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _whole(reply: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A reply without halves of characters, and its length as JSON."""
    text = json.dumps(reply, allow_nan=False)  # ASCII: a character is a byte
    # Half a character (a lone surrogate) is written `\udXXX`; so are the two halves of a whole one.
    if "\\ud" in text:
        try:
            json.dumps(reply, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            repaired: dict[str, Any] = _repaired(reply)
            return repaired, _json_bytes(repaired)
    return reply, len(text)


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_repaired(key): _repaired(each) for key, each in value.items()}
    return [_repaired(each) for each in value] if isinstance(value, list | tuple) else value


def _without(value: Any, keys: Sequence[str]) -> Any:
    """A reply without some of its keys, wherever they stand; `values` stay, empty."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in keys or key == "values"}
        return {key: {} if key == "values" and key in keys else _without(each, keys) for key, each in kept.items()}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value


def _json_bytes(reply: Any) -> int:
    return len(json.dumps(reply, allow_nan=False))


def _cut(text: str | None, longest: int) -> str | None:
    return text if text is None or len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
