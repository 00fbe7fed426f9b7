"""Settings of the local API."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from engine.settings.fields import named


class ServerSettings(BaseSettings):
    """The local API, which runs on a Pod and on a laptop."""

    api_host: str = Field(
        "127.0.0.1",
        validation_alias=named("API_HOST"),
        description="the address it listens on; 0.0.0.0 for every one, which needs API_TOKEN",
    )
    api_port: int = Field(8000, ge=1, le=65_535, validation_alias=named("API_PORT"), description="its port")
    api_token: str | None = Field(
        None,
        repr=False,
        validation_alias=named("API_TOKEN"),
        description="callers send it as `Authorization: Bearer …`",
    )

    @field_validator("api_host", mode="before")
    @classmethod
    def _without_brackets(cls, value: Any) -> Any:
        return value[1:-1] if isinstance(value, str) and value.startswith("[") and value.endswith("]") else value

    @field_validator("api_token")
    @classmethod
    def _can_be_sent(cls, value: str | None) -> str | None:
        # Others are changed or refused on their way by one program or another, and no caller would know why.
        if value is not None and not re.fullmatch(r"[!-~]{16,}", value):
            raise ValueError("must be at least 16 letters, digits and signs of ASCII, without a space or a line's end")
        return value
