"""How the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from engine.errors import EngineError


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    encoding = (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=encoding != "utf-8") + "\n")


def print_line(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(f"{text}\n")


def print_note(text: str) -> None:
    """A line on stderr."""
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
    if error.hint:
        print_note(f"hint: {error.hint}")
