"""The kinds of findings: each check registers its own, and `docs/checking.md` lists them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.authoring.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding.

    Attributes:
        name: for machines: `unknown_class`.
        severity: what it is, unless a finding says otherwise.
        meaning: what is wrong, for the table in the documentation.
        remedy: what to do about it; said with every finding that has no better advice.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str

    def at(
        self, file: str, where: str, message: str, *, remedy: str | None = None, severity: Severity | None = None
    ) -> Finding:
        """A finding of this kind.

        Args:
            file: below the workflow's folder: `templates/poster.json`.
            where: the place in that file; empty for the whole of it.
            message: what is wrong.
            remedy: what to do; left out, what the kind says.
            severity: left out, what the kind says.
        """
        return Finding(
            self.name, severity or self.severity, file, where, message, self.remedy if remedy is None else remedy
        )


CODES: dict[str, Code] = {}
"""By name, in the order of their registration."""


def code(name: str, severity: Severity, meaning: str, remedy: str) -> Code:
    """Register a kind of finding; see `Code`.

    Raises:
        ValueError: there is one of that name.
    """
    if name in CODES:
        raise ValueError(f"two kinds of findings are called {name}")
    CODES[name] = Code(name, severity, meaning, remedy)
    return CODES[name]
