"""What the query of `POST /workflows/NAME` says beside the payload."""

from __future__ import annotations

import contextlib
import math
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

LEAST_SECONDS = 1
"""That a job may be bound to: below, it could only ever be late."""

_BOOLEANS = frozenset({"async", "progress", "previews"})
_NUMBERS = frozenset({"wait", "timeout_seconds", "retries"})
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
    found: dict[str, Any] = {}
    for name, text in items:
        if name not in KEYS:
            message = f"unknown key{did_you_mean(name[:64], KEYS)}; the keys are: {listed(KEYS)}"
            problems.append(Problem(name[:64], message))
        elif name in found:
            problems.append(Problem(name, "stands twice in the query; keep one"))
        else:
            found[name] = _value(name, text)
            if (bounds := _BOUNDS.get(name)) and not bounds.allow(found[name]):
                problems.append(Problem(name, f"must be {bounds.words} (got {shown(text)})"))
    if problems:
        raise InvalidRequest(problems=problems)
    wait_ms = 0 if found.pop("async", False) else found.pop("wait", WAIT_MS)
    found.pop("wait", None)
    wishes = {name.removeprefix(_DELIVERY): found.pop(name) for name in list(found) if name.startswith(_DELIVERY)}
    return RunQuery(wait_ms, found | ({"delivery": wishes} if wishes else {}))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a value must be; that of all others is looked at with the request."""

    kind: type | tuple[type, ...]
    words: str
    least: float = 0
    most: float = math.inf

    def allow(self, value: Any) -> bool:
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        return isinstance(value, self.kind) and self.least <= float(value) <= self.most  # type: ignore[arg-type]


_BOUNDS = {
    "async": _Bounds(bool, "1 or 0"),
    "wait": _Bounds(int, f"milliseconds from 0 to {LONGEST_WAIT_MS}", 0, LONGEST_WAIT_MS),
    "timeout_seconds": _Bounds((int, float), f"seconds, at least {LEAST_SECONDS}", LEAST_SECONDS),
}


def _value(name: str, text: str) -> Any:
    """A number or a boolean where it is to be one; the text where it is none, so that validation says so."""
    if name in _BOOLEANS:
        return BOOLEANS.get(text.lower(), text)
    if name not in _NUMBERS and name.removeprefix(_DELIVERY) not in DELIVERY_VALUES:
        return text
    with contextlib.suppress(InvalidMap):
        value = parse_json(text, label="")
        return value if isinstance(value, int | float) else text
    return text
