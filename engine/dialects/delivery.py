"""Where other workers' requests ask for their results: `output_mode`, `gcs_bucket`, `gcs_prefix`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import InvalidRequest, Problem
from engine.wording import did_you_mean, kind_of, listed, shown

_MODES = {"s3": "s3", "gcs": "gcs", "base64": "inline", "inline": "inline"}
_GCS_KEYS = ("gcs_bucket", "gcs_prefix")


def output_mode(request: Mapping[str, Any]) -> Any:
    """The `output_mode` of a request, as it was sent; `gcs` where it only says which bucket; None for none."""
    mode = request.get("output_mode")
    return "gcs" if mode is None and any(request.get(key) is not None for key in _GCS_KEYS) else mode


def delivery_of(request: Mapping[str, Any], *, gcs_bucket: str | None) -> dict[str, Any]:
    """What a request wishes of its delivery, in our own words.

    Args:
        request: its keys; those that are None count as absent.
        gcs_bucket: the operator's. No other is written to: the credentials are the operator's too.

    Returns:
        `mode` and `prefix`, as in `delivery` of a request; empty where it wishes nothing.

    Raises:
        InvalidRequest: with every problem.
    """
    problems = list(_problems(request, gcs_bucket))
    if problems:
        raise InvalidRequest(problems=problems)
    mode = output_mode(request)
    wishes = {} if mode is None else {"mode": _MODES[mode]}
    prefix = request.get("gcs_prefix")
    return wishes if prefix is None else {**wishes, "prefix": prefix}


def _problems(request: Mapping[str, Any], gcs_bucket: str | None) -> Iterator[Problem]:
    mode = output_mode(request)
    known = isinstance(mode, str) and mode in _MODES
    if mode is not None and not known:
        guess = did_you_mean(mode, _MODES) if isinstance(mode, str) else ""
        yield Problem("output_mode", f"must be one of {listed(_MODES)} (got {shown(mode)}){guess}")
    for key in _GCS_KEYS:
        value = request.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            yield Problem(key, f"must be a string, not {kind_of(value)}")
        elif known and mode != "gcs":
            yield Problem(key, f'goes with "output_mode": "gcs" alone (got {shown(mode)}); leave it out')
        elif key == "gcs_bucket" and value != gcs_bucket:
            # The operator's own is not named: who may know it knows it.
            yield Problem(key, "this worker does not write to that bucket; leave the key out for the operator's own")
