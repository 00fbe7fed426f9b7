"""How a setting is declared: the variable's name, and others that people already set for the same thing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator
from pydantic_settings import NoDecode


def named(*names: str) -> Any:
    """The names of a setting's variable; the first that is set counts."""
    return AliasChoices(*names)


def _listed(value: Any) -> Any:
    return tuple(item for part in value.split(",") if (item := part.strip())) if isinstance(value, str) else value


def _url(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value.rstrip("/") if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Several words, separated by commas."""

Url = Annotated[str | None, BeforeValidator(_url)]
"""An http or https URL; without the slash at its end."""
