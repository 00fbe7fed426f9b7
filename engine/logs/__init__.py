"""The log: one line for each event, with the job it is about and without secrets (docs/logging.md).

Whoever writes uses the standard library's `logging`; `event` adds fields, `about` says which job a thread works for.
"""

from engine.logs.context import about, carrying, event, hiding
from engine.logs.lines import Lines
from engine.logs.redaction import Redactor, secrets_in

__all__ = ["Lines", "Redactor", "about", "carrying", "event", "hiding", "secrets_in"]
