"""How a setting is declared: the variable's name, and others that people already set for the same thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Part(BaseSettings):
    """The base of the settings of one matter, which `Settings` has all of.

    Only that is ever read, so that pydantic is to build what reads it, and nothing for each part.
    """

    model_config = SettingsConfigDict(defer_build=True)


class Aliases(AliasChoices):
    """The names of a setting's variable.

    Attributes:
        names: all of them; the first is the one to use.
        generic: those among them that other programs read as well. They count after all others, whose value is meant
            for us.
    """

    def __init__(self, names: Iterable[str], generic: Iterable[str] = ()) -> None:
        self.generic = frozenset(generic)
        self.names = tuple(names)
        super().__init__(*self.names)

    @property
    def in_order(self) -> list[str]:
        """The names, the one that counts most first."""
        return sorted(self.names, key=lambda name: name in self.generic)  # sorting keeps the order among equals


def named(*names: str, generic: Iterable[str] = ()) -> Any:
    """The names of a setting's variable.

    Args:
        names: the one to use, and others that mean the same.
        generic: further names that other programs read as well, such as AWS_REGION; a name may be in both.
    """
    generic = tuple(generic)
    return Aliases(dict.fromkeys((*names, *generic)), generic)


def aliases_of(field: FieldInfo) -> Aliases:
    """The names that a field was declared with; every setting is declared with `named`."""
    aliases = field.validation_alias
    if not isinstance(aliases, Aliases):
        raise TypeError(f"{field!r} is declared without `named`")
    return aliases


def _listed(value: Any) -> Any:
    return tuple(item for part in value.split(",") if (item := part.strip())) if isinstance(value, str) else value


def _url(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value.rstrip("/") if isinstance(value, str) else value


def _urls(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return ",".join(_url(each.strip()) for each in value.split(","))


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several words, separated by commas."""

Url = Annotated[str | None, BeforeValidator(_url)]
"""An http or https URL; without the slash at its end."""

Urls = Annotated[str | None, BeforeValidator(_urls)]
"""One http or https URL, or several with commas; without the slashes at their ends."""

UpperCase = BeforeValidator(_upper)
"""Takes a word in small letters too."""
