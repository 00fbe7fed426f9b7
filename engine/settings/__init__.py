"""Environment variables, read once into `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import AliasChoices, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine import bundled_workflows
from engine.errors import Problem, SettingsError
from engine.settings.buckets import GCSSettings, S3Settings
from engine.settings.comfy import ComfySettings
from engine.settings.delivery import DeliverySettings
from engine.settings.inputs import InputSettings
from engine.settings.operation import OperationSettings
from engine.settings.server import ServerSettings
from engine.settings.tokens import TokenSettings
from engine.settings.worker import WorkerSettings
from engine.settings.workflows import WorkflowSettings
from engine.wording import shown

_SECTIONS: tuple[type[BaseSettings], ...] = (
    WorkflowSettings,
    ComfySettings,
    WorkerSettings,
    InputSettings,
    DeliverySettings,
    S3Settings,
    GCSSettings,
    OperationSettings,
    ServerSettings,
    TokenSettings,
)


class Settings(
    WorkflowSettings,
    ComfySettings,
    WorkerSettings,
    InputSettings,
    DeliverySettings,
    S3Settings,
    GCSSettings,
    OperationSettings,
    ServerSettings,
    TokenSettings,
):
    """What the operator decides.

    Every field is an environment variable; where several names are listed, the first that is set counts. An empty
    variable counts as not set, since container platforms can't unset one.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True)


class Found(NamedTuple):
    """What a variable would have said, found out by the start where nobody set it.

    Attributes:
        value: as the variable would have it.
        source: where it was found, for people: "ComfyUI on the volume".
    """

    value: str
    source: str


def load_settings(found: Mapping[str, Found] | None = None) -> Settings:
    """Read the environment.

    Args:
        found: by the variable's first name, what counts where the environment has none of its names.

    Raises:
        SettingsError: with every variable that is wrong.
    """
    fields = {variable.names[0]: variable for variable in variables()}
    values: dict[str, Any] = {
        fields[name].field: each.value
        for name, each in (found or {}).items()
        if not any(os.environ.get(other) for other in fields[name].names)
    }
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        raise SettingsError(problems=problems, hint="see docs/settings.md for what each takes") from None


class Variable(NamedTuple):
    """One setting, described.

    Attributes:
        section: the heading it stands under.
        field: its name in `Settings`.
        names: of the environment variable; the first is the one to use.
        default: as text; empty for none.
        description: what it is for.
        secret: whether its value is never shown.
    """

    section: str
    field: str
    names: list[str]
    default: str
    description: str
    secret: bool


def variables() -> list[Variable]:
    """Every setting, section by section."""
    rows = []
    for section in _SECTIONS:
        title = (section.__doc__ or "").rstrip(".")
        for name, field in section.model_fields.items():
            default = "" if field.default is None or field.default == () else _default_text(field.default)
            names = _names(field.validation_alias)
            rows.append(Variable(title, name, names, default, field.description or "", secret=not field.repr))
    return rows


def _default_text(value: Any) -> str:
    if value == (bundled_workflows(),):
        return "the engine's own folder"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names(alias: Any) -> list[str]:
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _problem(item: Mapping[str, Any]) -> Problem:
    name = str(item["loc"][0]) if item["loc"] else ""
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must", 1)
    value = item.get("input")
    is_secret = any(word in name for word in ("SECRET", "TOKEN", "API_KEY"))
    return Problem(name, message if is_secret else f"{message} (got {shown(str(value))})")
