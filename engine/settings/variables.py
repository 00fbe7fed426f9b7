"""Every setting, described: for the page on them, for `engine settings` and for messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic_settings import BaseSettings

from engine import bundled_workflows
from engine.settings.fields import aliases_of


class Variable(NamedTuple):
    """One setting, described.

    Attributes:
        section: the heading it stands under.
        field: its name in `Settings`.
        names: of the environment variable; the first is the one to use.
        default: as text; empty for none.
        description: what it is for.
        secret: whether its value is never shown.
        generic: those of the names that other programs read as well, and that yield to the others.
    """

    section: str
    field: str
    names: list[str]
    default: str
    description: str
    secret: bool
    generic: frozenset[str]


def described(sections: Iterable[type[BaseSettings]]) -> list[Variable]:
    """Every setting of the sections, in their order."""
    rows = []
    for section in sections:
        title = (section.__doc__ or "").rstrip(".")
        for name, field in section.model_fields.items():
            default = "" if field.default is None or field.default == () else _default_text(field.default)
            aliases = aliases_of(field)
            rows.append(
                Variable(
                    title,
                    name,
                    list(aliases.names),
                    default,
                    field.description or "",
                    secret=not field.repr,
                    generic=aliases.generic,
                )
            )
    return rows


def _default_text(value: Any) -> str:
    if value == (bundled_workflows(),):
        return "the engine's own folder"
    return str(value).lower() if isinstance(value, bool) else str(value)
