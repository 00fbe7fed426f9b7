"""Settings of the local API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from engine.settings.fields import Names, Part, Url, named


class ServerSettings(Part):
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
    api_folder: Path | None = Field(
        None,
        validation_alias=named("API_FOLDER"),
        description="where queue, history and uploads are kept; by default on the volume, else in the user's cache",
    )
    api_hosts: Names = Field(
        (),
        validation_alias=named("API_HOSTS"),
        description="the names it may be called by, with commas; by default any with API_TOKEN, else this machine's",
    )
    api_cors_origins: Names = Field(
        (),
        validation_alias=named("API_CORS_ORIGINS"),
        description="other sites whose pages may call it, with commas: `https://app.example.com`; `*` for all",
    )
    api_public_url: Url = Field(
        None,
        validation_alias=named("API_PUBLIC_URL"),
        description="what links to results begin with; by default the address that the caller used",
    )
    api_queue: int = Field(
        1000,
        ge=1,
        validation_alias=named("API_QUEUE"),
        description="jobs that may wait; more get 429 and `Retry-After`",
    )
    api_history: int = Field(
        1000, ge=1, validation_alias=named("API_HISTORY"), description="finished jobs that are remembered"
    )
    api_body_bytes: int = Field(
        20_000_000,
        ge=1000,
        validation_alias=named("API_BODY_BYTES"),
        description="the longest body of a request, in JSON",
    )
    api_uploads_bytes: int = Field(
        2_000_000_000,
        ge=1_000_000,
        validation_alias=named("API_UPLOADS_BYTES"),
        description="what files sent to `/files` may take together; the one unused for longest goes first",
    )
    api_rate: int = Field(
        0,
        ge=0,
        validation_alias=named("API_RATE"),
        description="requests a minute that one address may make; more get 429; 0 for no bound",
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
