"""What `engine check` finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is or may be wrong with a workflow.

    Attributes:
        code: names the kind, for machines: `unknown_class`.
        severity: `error` where it can't work, `warning` where it may not, `note` where nothing is wrong.
        file: the file it is in, below the workflow's folder: `templates/poster.json`.
        where: the place in that file: `3.inputs.seed`, `parameters.steps.bind`; empty for the whole of it.
        message: what is wrong.
        remedy: what to do about it; empty where the message says so.
    """

    code: str
    severity: Severity
    file: str
    where: str
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """In JSON's types."""
        return asdict(self)
