"""Settings of the local API."""

from __future__ import annotations

from pydantic import Field
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
        min_length=16,
        validation_alias=named("API_TOKEN"),
        description="callers send it as `Authorization: Bearer …`",
    )
