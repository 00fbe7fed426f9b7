"""Settings of the workflows and of what a request may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from engine import bundled_workflows, split_path
from engine.settings.fields import Names, named


class WorkflowSettings(BaseSettings):
    """Workflows and requests."""

    workflows_path: Annotated[tuple[Path, ...], NoDecode] = Field(
        (bundled_workflows(),),
        validation_alias=named("WORKFLOWS_PATH"),
        description="folders with templates/ and schemas/, separated like PATH; later ones win",
    )
    workflows: Names = Field(
        (),
        validation_alias=named("WORKFLOWS"),
        description="the workflows that are offered, separated by commas; by default all that are there",
    )
    snapshot: str | None = Field(
        None,
        validation_alias=named("SNAPSHOT"),
        description="the snapshot that workflows are checked against; by default any lock in snapshots/ counts",
    )
    allow_raw_workflows: bool = Field(
        False,
        validation_alias=named("ALLOW_RAW_WORKFLOWS"),
        description="let requests carry whole graphs: whoever may send one may run any node there is",
    )
    response_dialect: Literal["engine", "worker-comfyui", "results", "gcs", "base64"] | None = Field(
        None,
        validation_alias=named("RESPONSE_DIALECT"),
        description="the shape of every result; by default ours, and for whole graphs the one the request is of",
    )

    @field_validator("workflows_path", mode="before")
    @classmethod
    def _split_path(cls, value: Any) -> Any:
        return split_path(value) if isinstance(value, str) else value
