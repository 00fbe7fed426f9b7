"""One event, one line: as text for people, or as JSON for programs."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.logs.context import hidden, subject
from engine.logs.redaction import Redactor

_LONGEST_MESSAGE = 2_000
_LONGEST_VALUE = 500
_LONGEST_DETAIL = 6_000
_MOST_FIELDS = 32

# What would end a line, move a terminal's cursor, or can't be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\u202a-\u202e\u2066-\u2069]")
_BARE = re.compile(r"[^\s\"'=\\\[\]{}]+")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NOT_A_NAME = re.compile(r"[^\w.-]")


class Lines(logging.Formatter):
    r"""Makes a record into a line.

    The traceback of an exception, and ComfyUI's own, are the field `detail`, with its newlines written as `\n`:
    log windows that show many workers take each line for an entry of its own, sort them by time, and search them one
    by one, so that the lines of a traceback would part from each other and from the job's id.

    Args:
        redactor: takes out what no line may hold.
        as_json: one JSON object a line, instead of text.
        constant: fields of every line.
    """

    def __init__(self, redactor: Redactor, *, as_json: bool = False, constant: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._redactor = redactor
        self._as_json = as_json
        self._constant = constant or {}

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline at its end; never raises."""
        try:
            return self._line(record)
        except Exception as error:  # noqa: BLE001 - anyone's __str__ may raise anything, and a line never costs a job
            return self._put(record, "a line of the log could not be written", {"error": type(error).__name__})

    def _line(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # its arguments do not fit it
            message = str(record.msg)
        fields: dict[str, Any] = {**self._constant, **subject()}
        given = record.__dict__.get("fields")
        if isinstance(given, Mapping):
            fields |= {_NOT_A_NAME.sub("_", str(name)): value for name, value in given.items()}
        details = [_text(fields.pop("detail"))] if "detail" in fields else []
        if record.exc_info and record.exc_info[0]:
            details.append(self.formatException(record.exc_info))
        if record.stack_info:
            details.append(record.stack_info)
        if len(fields) > _MOST_FIELDS:
            fields = dict(list(fields.items())[:_MOST_FIELDS])
        shown = {name: self._shown(name, value) for name, value in fields.items()}
        if details:
            shown["detail"] = self._cut("\n".join(details), _LONGEST_DETAIL)
        return self._put(record, self._cut(message, _LONGEST_MESSAGE), shown)

    def _put(self, record: logging.LogRecord, message: str, fields: Mapping[str, Any]) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        if self._as_json:
            line = {
                "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
                "level": record.levelname,
                "logger": record.name,
                "message": message,
            }
            return json.dumps({**{name: value for name, value in fields.items() if name not in line}, **line})
        if not record.name.startswith("engine"):
            fields = {**fields, "logger": record.name}
        parts = [f"{moment:%Y-%m-%dT%H:%M:%SZ}", record.levelname, _on_one_line(message)]
        return " ".join([*parts, *(f"{name}={_quoted(value)}" for name, value in fields.items())])

    def _shown(self, name: str, value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return value if value.bit_length() < _MOST_FIELDS * 8 else "a very large number"
        if isinstance(value, float):
            return round(value, 3) if math.isfinite(value) else str(value)
        # The name goes along, since what `password` is called by is what makes it one.
        return self._cut(_text(value), _LONGEST_VALUE, name=name)

    def _cut(self, text: str, longest: int, *, name: str = "") -> str:
        """The text, redacted, its middle left out where it is long: the end of a traceback says the cause."""
        if name:
            prefix = f'"{name}": '
            if "***" in self._redactor(f'{prefix}"x"'):
                return "***"
        text = self._redactor(text, hidden())
        if len(text) <= longest:
            return text
        half = longest // 2
        return f"{text[:half]} … ({len(text)} characters) … {text[-half:]}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return f"a value of type {type(value).__name__}"


def _on_one_line(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: _SHORT.get(found[0]) or _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _quoted(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = str(value)
    if _BARE.fullmatch(text) and not _UNPRINTABLE.search(text):
        return text
    return '"' + _on_one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
