"""What the query of `POST /workflows/NAME` says beside the payload."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.documents import parse_json
from engine.errors import InvalidMap, InvalidRequest, Problem
from engine.storage import DeliveryRequest
from engine.text_values import BOOLEANS, DELIVERY_VALUES
from engine.wording import did_you_mean, listed, shown

WAIT_MS, LONGEST_WAIT_MS = 90_000, 300_000
"""How long a call waits for its job, in milliseconds; as RunPod's /runsync does
(https://docs.runpod.io/serverless/endpoints/send-requests)."""

_NUMBERS = frozenset({"timeout_seconds", "retries"})
_BOOLEANS = frozenset({"progress", "previews"})
_DELIVERY = "delivery."
KEYS = (
    *("async", "wait", "timeout_seconds", "retries", "version_id", "progress", "previews"),
    *(f"{_DELIVERY}{name}" for name in DeliveryRequest.model_fields),
)
"""What a query may hold."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What a query says.

    Attributes:
        wait_ms: how long to wait for the job; 0 not to.
        keys: further keys of the request (`engine.request.Request`), not validated yet.
    """

    wait_ms: int = WAIT_MS
    keys: dict[str, Any] = field(default_factory=dict)


def run_query(items: Iterable[tuple[str, str]]) -> RunQuery:
    """Read a query.

    Args:
        items: names and texts, in the order they came.

    Raises:
        InvalidRequest: it is not of the form; with every problem.
    """
    problems: list[Problem] = []
    keys: dict[str, Any] = {}
    seen: set[str] = set()
    wait_ms, is_async = WAIT_MS, False
    for name, text in items:
        if name not in KEYS:
            message = f"unknown key{did_you_mean(name[:64], KEYS)}; the keys are: {listed(KEYS)}"
            problems.append(Problem(name[:64], message))
            continue
        if name in seen:
            problems.append(Problem(name, "stands twice in the query; keep one"))
            continue
        seen.add(name)
        if name == "async":
            if (value := BOOLEANS.get(text.lower())) is None:
                problems.append(Problem(name, f"must be 1 or 0 (got {shown(text)})"))
            is_async = bool(value)
        elif name == "wait":
            if text.isascii() and text.isdecimal() and len(text) < 10 and 0 <= int(text) <= LONGEST_WAIT_MS:
                wait_ms = int(text)
            else:
                problems.append(Problem(name, f"must be milliseconds from 0 to {LONGEST_WAIT_MS} (got {shown(text)})"))
        elif name.startswith(_DELIVERY):
            wish = name.removeprefix(_DELIVERY)
            keys.setdefault("delivery", {})[wish] = _value(text) if wish in DELIVERY_VALUES else text
        elif name in _BOOLEANS:
            keys[name] = BOOLEANS.get(text.lower(), text)
        else:
            keys[name] = _value(text) if name in _NUMBERS else text
    if problems:
        raise InvalidRequest(problems=problems)
    return RunQuery(0 if is_async else wait_ms, keys)


def _value(text: str) -> Any:
    """A number or a boolean; the text where it is none, so that validation says so."""
    with contextlib.suppress(InvalidMap):
        return parse_json(text, label="")
    return text
