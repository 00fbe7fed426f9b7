"""Every setting, described: for the page on them, for `engine settings` and for messages."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_settings import BaseSettings

from engine import bundled_workflows
from engine.settings.buckets import GCSSettings, S3Settings
from engine.settings.comfy import ComfySettings
from engine.settings.delivery import DeliverySettings
from engine.settings.fields import aliases_of
from engine.settings.inputs import InputSettings
from engine.settings.operation import OperationSettings
from engine.settings.server import ServerSettings
from engine.settings.tokens import TokenSettings
from engine.settings.worker import WorkerSettings
from engine.settings.workflows import WorkflowSettings

_SECTIONS: tuple[type[BaseSettings], ...] = (
    WorkflowSettings,
    ComfySettings,
    WorkerSettings,
    TokenSettings,
    InputSettings,
    DeliverySettings,
    S3Settings,
    GCSSettings,
    OperationSettings,
    ServerSettings,
)


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


def variables() -> list[Variable]:
    """Every setting, section by section."""
    rows = []
    for section in _SECTIONS:
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
