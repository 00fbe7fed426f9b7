"""Settings of what a worker keeps about its work: the log, and the replies of finished jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from engine.settings.fields import Part, UpperCase, named


class OperationSettings(Part):
    """The log and the journal."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], UpperCase] = Field(
        "INFO", validation_alias=named("LOG_LEVEL"), description="of the worker's log"
    )
    log_format: Literal["text", "json"] = Field(
        "text", validation_alias=named("LOG_FORMAT"), description="of its lines: for people, or one JSON object each"
    )
    log_path: Path | None = Field(
        None,
        validation_alias=named("LOG_PATH"),
        description="a file that the lines go to as well, such as one on the volume",
    )
    log_file_bytes: int = Field(
        10_000_000,
        ge=10_000,
        validation_alias=named("LOG_FILE_BYTES"),
        description="the longest that file gets before a new one is begun; the last three are kept beside it",
    )
    journal_path: Path | Literal["off"] | None = Field(
        None,
        validation_alias=named("JOURNAL_PATH"),
        description="a folder for the replies of finished jobs, so that a job that comes twice runs once; `off` for "
        "none. By default on the volume, where there is one, else in the user's cache",
    )
    journal_bytes: int = Field(
        256_000_000, gt=0, validation_alias=named("JOURNAL_BYTES"), description="the most that the replies may take"
    )
    journal_seconds: float = Field(
        1_800,
        gt=0,
        validation_alias=named("JOURNAL_SECONDS"),
        description="how long a reply is kept; RunPod itself forgets a result after 30 minutes",
    )

    @field_validator("log_format", "journal_path", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        words = {"text", "json", "off"}
        return value.lower() if isinstance(value, str) and value.lower() in words else value
