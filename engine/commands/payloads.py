"""From `-p key=value` to a payload."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.documents import parse_json, read_json
from engine.errors import InvalidMap, InvalidRequest, UsageError
from engine.request import parse_request
from engine.schema import Parameter, StringParameter
from engine.storage import DeliveryRequest
from engine.text_values import DELIVERY_VALUES, value_of_text
from engine.workflow import Workflow


def payload_from(workflow: Workflow, parameters: Sequence[str], file: Path | None) -> dict[str, Any]:
    """The payload of a file, with single parameters over it.

    Args:
        workflow: tells the type that each value is read as.
        parameters: `key=value`; `key=@file` reads a text from a file, or names a media file; `key:=JSON` is taken as
            it is.
        file: a JSON file; `-` for stdin.

    Raises:
        InvalidRequest: the file is no JSON object, or can't be read.
        UsageError: a parameter is not of the form.
    """
    payload = _document(file) if file else {}
    for text in parameters:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-p {text}: not of the form key=value")
        if key.endswith(":"):
            payload[key[:-1]] = _json(key[:-1], value)
        else:
            payload[key] = _typed(key, value, workflow.parameters.get(key))
    return payload


def _document(file: Path) -> dict[str, Any]:
    try:
        is_stdin = str(file) == "-"
        document = parse_json(sys.stdin.read(), label="stdin") if is_stdin else read_json(file, label=str(file))
    except InvalidMap as error:
        raise InvalidRequest(str(error)) from error
    if not isinstance(document, dict):
        raise InvalidRequest(f"{file}: a payload is a JSON object of parameters")
    return document


def _json(key: str, value: str) -> Any:
    try:
        return parse_json(value, label=f"-p {key}:= takes JSON")
    except InvalidMap as error:
        raise UsageError(str(error)) from error


def _typed(key: str, value: str, parameter: Parameter | None) -> Any:
    if isinstance(parameter, StringParameter):
        return _text_of(key, value)
    return value_of_text(value, parameter)


def _text_of(key: str, value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"-p {key}=@{value[1:]}: {reason}; @ reads a file") from error


def delivery_from(wishes: Sequence[str]) -> DeliveryRequest | None:
    """How the results are wanted, from `-d key=value`; None where nothing is said.

    Raises:
        InvalidRequest: with every wish that can't be.
        UsageError: one is not of the form.
    """
    document: dict[str, Any] = {}
    for text in wishes:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-d {text}: not of the form key=value")
        document[key] = value
        if key in DELIVERY_VALUES:
            with contextlib.suppress(InvalidMap):
                document[key] = parse_json(value, label=key)
    try:
        return parse_request({"action": "list", "delivery": document}).delivery if document else None
    except InvalidRequest as error:
        raise InvalidRequest(problems=error.problems, hint="see docs/delivery.md for what -d takes") from None
