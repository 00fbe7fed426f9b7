"""How the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from engine.errors import EngineError, EnvironmentUnverified


class _Detailed(logging.Formatter):
    """The message, and below it what ComfyUI printed, or a traceback: whoever reads it can't look it up in a log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines."""
        fields = record.__dict__.get("fields")
        detail = fields.get("detail") if isinstance(fields, dict) else None
        return super().format(record) + (f"\n{detail}" if detail else "")


def show_errors_of_the_log() -> None:
    """Show on stderr what goes into a worker's log as an error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Detailed("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    encoding = (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=encoding != "utf-8") + "\n")


def print_line(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(f"{text}\n")


def print_note(text: str) -> None:
    """A line on stderr; what was printed before comes before it where both end in one log."""
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")


def print_failure(error: EngineError, *, as_json: bool) -> None:
    """What went wrong: every problem on its line, then what to do; as JSON the reply that a caller would get."""
    if as_json:
        from engine.envelope import failure_reply

        print_json(failure_reply(error))
        return
    if error.problems:
        print_note(f"{error.code}:")
        for problem in error.problems:
            print_note(f"  {problem}")
    else:
        print_note(f"{error.code}: {error.message}")
    if isinstance(error, EnvironmentUnverified) and error.detail:
        print_note(error.detail)  # whoever is at a terminal is the operator
    if error.hint:
        print_note(f"hint: {error.hint}")
