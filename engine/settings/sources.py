"""Where each setting's value comes from, and what two names of one setting that differ are told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from engine.errors import Problem
from engine.settings.amazon import with_bucket_of_endpoint, without_strangers
from engine.settings.fields import aliases_of
from engine.settings.given import Given, given_values
from engine.wording import shown

_USER_OF_URL = re.compile(r"(?<=://)[^/?#\s]*@")


class Found(NamedTuple):
    """What a variable would have said, found out by the start where nobody set it.

    Attributes:
        value: as the variable would have it.
        source: where it was found, for people: "ComfyUI on the volume".
    """

    value: str
    source: str


class Source(NamedTuple):
    """Where a setting's value comes from; neither is set where it is the default.

    Attributes:
        variable: that holds it.
        found: where the start found it, for people.
    """

    variable: str | None = None
    found: str | None = None

    @property
    def kind(self) -> str:
        """`environment`, `start` or `default`."""
        return "environment" if self.variable else "start" if self.found else "default"


class Reading(NamedTuple):
    """An environment, read.

    Attributes:
        values: by field, what counts of all that is set for it.
        problems: names of one setting that contradict each other.
        warnings: names that yielded to another with another value.
    """

    values: dict[str, Given]
    problems: list[Problem]
    warnings: list[str]


def read_environment(fields: Mapping[str, FieldInfo], environment: Mapping[str, str]) -> Reading:
    """What counts of all that an environment says.

    Two names of one setting with different values: a generic one, which other programs read as well, yields to one
    that is meant for us; two of the latter contradict each other.

    Args:
        fields: of the settings.
        environment: the variables; an empty one counts as not set.
    """
    given = given_values({field: aliases_of(info) for field, info in fields.items()}, environment)
    given, problems = with_bucket_of_endpoint(without_strangers(given))
    warnings: list[str] = []
    for field, values in given.items():
        others = _different(values, fields[field])
        against = [each for each in others if not each.generic]
        if against:
            problems.append(_conflict([values[0], *against], fields[field]))
        warnings += [
            f"{each.variable} is not used: {values[0].variable} says the same of this worker, and has another value"
            for each in others
            if each.generic
        ]
    return Reading({field: values[0] for field, values in given.items()}, problems, warnings)


def hide_user(text: str) -> str:
    """A text without the user and the password of the URLs in it."""
    return _USER_OF_URL.sub("…@", text)


def _different(values: list[Given], field: FieldInfo) -> list[Given]:
    """Those that mean something else than the first."""
    first, *others = values
    others = [each for each in others if each.text != first.text]
    if not others:
        return []
    meaning = _meaning_of(field)
    return [each for each in others if meaning(each.text) != meaning(first.text)]


def _meaning_of(field: FieldInfo) -> Callable[[str], Any]:
    """What a text means as a value of the field; `1` and `true` are the same of a switch."""
    kind: Any = Annotated[field.annotation, None, *field.metadata]  # which needs one more, whatever it is
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def meaning(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError:
            return text

    return meaning


def _conflict(values: list[Given], field: FieldInfo) -> Problem:
    first, *others = values
    names = " and ".join(each.variable for each in others)
    them = "has another value" if len(others) == 1 else "have other values"
    said = "" if not field.repr else f" ({', '.join(f'{each.variable}: {_shown(each)}' for each in values)})"
    what = "is another name of it and" if len(others) == 1 else "are other names of it and"
    return Problem(first.variable, f"{names} {what} {them}{said}; keep one: remove {names}")


def _shown(value: Given) -> str:
    return shown(hide_user(value.text))


class EnvironmentSource(PydanticBaseSettingsSource):
    """Gives pydantic what counts of the environment, in place of its own reading, which takes any name that is set."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        self._fields = settings.model_fields

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Nothing: all fields are read at once, since one variable may speak of two."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The texts, by the first name of each variable."""
        reading = read_environment(self._fields, os.environ)
        return {first_name(self._fields[field]): each.text for field, each in reading.values.items()}


def first_name(field: FieldInfo) -> str:
    """The name of its variable that is to be used."""
    return aliases_of(field).names[0]
