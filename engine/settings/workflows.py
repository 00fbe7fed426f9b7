"""Settings of the workflows and of what a request may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from engine import bundled_workflows
from engine.settings.fields import Names, Part, named
from engine.workflows_path import Entry, entries_of


class WorkflowSettings(Part):
    """Workflows and requests."""

    workflows_path: Annotated[tuple[Entry, ...], NoDecode] = Field(
        (bundled_workflows(),),
        validation_alias=named("WORKFLOWS_PATH"),
        description="folders with templates/ and schemas/ and Git repositories (`https://HOST/OWNER/NAME@REF#FOLDER`), "
        "separated like PATH; later ones win",
    )
    workflows_token: str | None = Field(
        None,
        repr=False,
        validation_alias=named("WORKFLOWS_TOKEN"),
        description="of the host of private repositories in WORKFLOWS_PATH, which may read them; USER:TOKEN where the "
        "host wants the user's name",
    )
    workflows_token_host: str | None = Field(
        None,
        validation_alias=named("WORKFLOWS_TOKEN_HOST"),
        description="the only host that is given WORKFLOWS_TOKEN, with its port where the repository has one; by "
        "default that of the repositories, where they are all on one",
    )
    workflows_fetch_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        validation_alias=named("WORKFLOWS_FETCH_SECONDS"),
        description="how long a repository may take at the start; then its last copy serves",
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

    @field_validator("workflows", mode="before")
    @classmethod
    def _names_some(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip(" ,"):  # neither all nor none can be meant
            raise ValueError("names no workflow: give names, separated by commas, or leave it unset")
        return value

    @field_validator("workflows_path", mode="before")
    @classmethod
    def _split_path(cls, value: Any) -> Any:
        return entries_of(value) if isinstance(value, str) else value
