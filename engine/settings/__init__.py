"""Environment variables, read once into `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from engine import in_capitals
from engine.errors import Problem, SettingsError
from engine.settings.buckets import GCSSettings, S3Settings
from engine.settings.comfy import ComfySettings
from engine.settings.delivery import DeliverySettings
from engine.settings.given import Given
from engine.settings.inputs import InputSettings
from engine.settings.misspelt import misspelt
from engine.settings.operation import OperationSettings
from engine.settings.server import ServerSettings
from engine.settings.sources import EnvironmentSource, Found, Source, first_name, hide_user, read_environment
from engine.settings.tokens import TokenSettings
from engine.settings.variables import Variable, described
from engine.settings.worker import WorkerSettings
from engine.settings.workflows import WorkflowSettings
from engine.volume import DEFAULT_PATH, volume_of
from engine.wording import shown

__all__ = ["Found", "Settings", "Source", "Variable", "hide_user", "load_settings", "variables"]


_PLAINLY = {
    "bool_parsing": "must be true or false",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
}
"""What pydantic says of a text that is none of its kind, for people."""


class Settings(
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
):
    """What the operator decides.

    Every field is an environment variable, most under several names (`engine.settings.sources` says which counts). An
    empty variable counts as not set, since container platforms can't unset one.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    _sources: Mapping[str, Source] = PrivateAttr(default_factory=dict)
    _yielded: tuple[str, ...] = PrivateAttr(default=())
    _original: Settings | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed comes before the environment, which is read as we read it."""
        return init_settings, EnvironmentSource(settings_cls)

    def source_of(self, field: str) -> Source:
        """Where a field's value comes from; for settings that `load_settings` read."""
        return self._sources.get(field, Source())

    @property
    def original(self) -> Settings:
        """The settings as they were read, before `replaced`."""
        return self._original or self

    def replaced(self, source: str, **values: Any) -> Settings:
        """Settings in which an environment's values stand for the operator's.

        Args:
            source: where they are from, for people.
            values: by field, of the field's type; they are not checked again.
        """
        copy = self.model_copy(update=values)
        changed = {field: Source(found=source) for field, value in values.items() if getattr(self, field) != value}
        copy._sources = {**self._sources, **changed}  # noqa: SLF001
        copy._original = self.original  # noqa: SLF001
        return copy

    def warnings(self) -> list[str]:
        """What the operator had better look at: variables that yielded to another, and names that look misspelt."""
        known = [name for variable in variables() for name in variable.names]
        slips = misspelt(os.environ, known)
        return [*self._yielded, *(f"{name} is no setting; {near} is" for name, near in slips.items())]


def variables() -> list[Variable]:
    """Every setting, section by section."""
    return described(section for section in Settings.__bases__ if issubclass(section, BaseSettings))


def load_settings(found: Mapping[str, Found] | None = None) -> Settings:
    """Read the environment.

    Args:
        found: by the variable's first name, what counts where the environment has none of its names.

    Raises:
        SettingsError: with every variable that is wrong, and every two that contradict each other.
    """
    fields = Settings.model_fields
    reading = read_environment(fields, os.environ)
    names = {first_name(info): field for field, info in fields.items()}
    elsewhere = _volume_elsewhere(in_capitals(os.environ)) | dict(found or {})
    started = {names[name]: each for name, each in elsewhere.items() if names[name] not in reading.values}
    problems = [*reading.problems, *_two_comfyuis(reading.values)]
    given: dict[str, Any] = {field: each.value for field, each in started.items()}
    settings: Settings | None = None
    try:
        settings = Settings(**given)
    except ValidationError as error:
        called = {first_name(fields[field]): each.variable for field, each in reading.values.items()}
        secret = {first_name(info) for info in fields.values() if not info.repr}
        problems += [_problem(item, called, secret) for item in error.errors(include_url=False)]
    if settings is None or problems:
        raise SettingsError(problems=problems, hint="see docs/settings.md for what each takes")
    sources = {field: Source(variable=each.variable) for field, each in reading.values.items()}
    settings._sources = sources | {field: Source(found=each.source) for field, each in started.items()}  # noqa: SLF001
    settings._yielded = tuple(reading.warnings)  # noqa: SLF001
    return settings


def _two_comfyuis(values: Mapping[str, Given]) -> list[Problem]:
    """An environment has a ComfyUI: another can't be named beside it."""
    return [
        Problem(values["version_id"].variable, f"{values[field].variable} names another ComfyUI; keep one of the two")
        for field in ("comfy_url", "comfy_home")
        if field in values and "version_id" in values
    ]


def _problem(item: Mapping[str, Any], called: Mapping[str, str], secret: set[str]) -> Problem:
    name = str(item["loc"][0]) if item["loc"] else ""
    said = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must", 1)
    message = _PLAINLY.get(str(item["type"]), said)
    if name not in secret:
        message += f" (got {shown(hide_user(str(item.get('input'))))})"
    return Problem(called.get(name, name), message)


def _volume_elsewhere(environment: Mapping[str, str]) -> dict[str, Found]:
    """The volume, where it is not in its usual place: a command in a Pod's terminal finds it as the worker does."""
    volume = volume_of(environment)
    return {} if str(volume) == DEFAULT_PATH else {"VOLUME_PATH": Found(str(volume), "where a Pod has it")}
