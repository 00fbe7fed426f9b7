"""Environment variables, read once into `Settings`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine import bundled_workflows, split_path
from engine.errors import Problem, SettingsError
from engine.wording import shown


def _named(*names: str) -> Any:
    """The variable's name, and others that people already set for the same thing."""
    return AliasChoices(*names)


class Settings(BaseSettings):
    """What the operator decides.

    Every field is an environment variable; where several names are listed, the first that is set counts. An empty
    variable counts as not set, since container platforms can't unset one.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True)

    workflows_path: Annotated[tuple[Path, ...], NoDecode] = Field(
        (bundled_workflows(),),
        validation_alias=_named("WORKFLOWS_PATH"),
        description="folders with templates/ and schemas/, separated like PATH; later ones win",
    )
    comfy_url: str | None = Field(
        None, validation_alias=_named("COMFY_URL"), description="a ComfyUI that runs, such as http://127.0.0.1:8188"
    )
    comfy_home: Path | None = Field(
        None,
        validation_alias=_named("COMFY_HOME"),
        description="ComfyUI's folder; it is started and watched. COMFY_URL comes first",
    )
    comfy_python: Path | None = Field(
        None,
        validation_alias=_named("COMFY_PYTHON"),
        description="the Python that runs it; by default that of a venv in its folder, else ours",
    )
    comfy_args: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias=_named("COMFY_ARGS"), description="more arguments for it, such as --cpu or --lowvram"
    )
    comfy_log: Path = Field(
        Path("comfyui.log"), validation_alias=_named("COMFY_LOG"), description="where its output goes"
    )
    comfy_start_seconds: float = Field(
        300, gt=0, validation_alias=_named("COMFY_START_SECONDS"), description="how long it may take to start"
    )
    comfy_simulate: bool = Field(
        False,
        validation_alias=_named("COMFY_SIMULATE"),
        description="let the worker use the simulator; the command line does so without a ComfyUI",
    )
    timeout_seconds: float = Field(
        600, gt=0, validation_alias=_named("TIMEOUT_SECONDS"), description="the longest a job may execute"
    )
    queue_timeout_seconds: float = Field(
        600, gt=0, validation_alias=_named("QUEUE_TIMEOUT_SECONDS"), description="the longest it may wait in ComfyUI"
    )
    storage: Literal["s3", "inline", "directory"] | None = Field(
        None,
        validation_alias=_named("STORAGE"),
        description="where results go; by default the bucket if one is set, else inline (worker) or a folder",
    )
    output_folder: Path = Field(
        Path("outputs"), validation_alias=_named("OUTPUT_FOLDER"), description="for storage in a folder"
    )
    inline_limit_bytes: int = Field(
        9_500_000,
        gt=0,
        validation_alias=_named("INLINE_LIMIT_BYTES"),
        description="the most base64 in one result; RunPod loses what is over 10 MB (20 MB for runsync)",
    )
    s3_bucket: str | None = Field(
        None, validation_alias=_named("S3_BUCKET", "S3_BUCKET_NAME", "BUCKET_NAME"), description="results go there"
    )
    s3_endpoint_url: str | None = Field(
        None,
        validation_alias=_named("S3_ENDPOINT_URL", "BUCKET_ENDPOINT_URL"),
        description="of anything but AWS: R2, MinIO, Backblaze",
    )
    s3_access_key_id: str | None = Field(
        None,
        validation_alias=_named("S3_ACCESS_KEY_ID", "BUCKET_ACCESS_KEY_ID"),
        description="without any, boto3 finds its own: a role, a profile, AWS_ACCESS_KEY_ID",
    )
    s3_secret_access_key: str | None = Field(
        None,
        repr=False,
        validation_alias=_named("S3_SECRET_ACCESS_KEY", "BUCKET_SECRET_ACCESS_KEY"),
        description="goes with the key id",
    )
    s3_session_token: str | None = Field(None, repr=False, validation_alias=_named("S3_SESSION_TOKEN"))
    s3_region: str | None = Field(
        None,
        validation_alias=_named("S3_REGION", "BUCKET_REGION"),
        description="read from the endpoint where it can be",
    )
    s3_prefix: str = Field("", validation_alias=_named("S3_PREFIX"), description="the first part of every key")
    s3_public_base_url: str | None = Field(
        None,
        validation_alias=_named("S3_PUBLIC_BASE_URL"),
        description="give URLs below this instead of presigned ones",
    )
    s3_url_seconds: int = Field(
        86_400,
        gt=0,
        le=604_800,
        validation_alias=_named("S3_URL_SECONDS"),
        description="how long a presigned URL holds",
    )
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", validation_alias=_named("S3_ADDRESSING_STYLE"), description="`path` for many MinIO installations"
    )
    max_input_bytes: int = Field(
        100 * 1024 * 1024,
        gt=0,
        validation_alias=_named("MAX_INPUT_BYTES"),
        description="the largest input file; ComfyUI takes 100 MiB",
    )
    max_input_pixels: int = Field(
        64_000_000, gt=0, validation_alias=_named("MAX_INPUT_PIXELS"), description="the largest input picture"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias=_named("LOG_LEVEL"), description="of the worker's log"
    )

    @field_validator("workflows_path", mode="before")
    @classmethod
    def _split_path(cls, value: Any) -> Any:
        return split_path(value) if isinstance(value, str) else value

    @field_validator("comfy_args", mode="before")
    @classmethod
    def _split_args(cls, value: Any) -> Any:
        return tuple(shlex.split(value)) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("comfy_url", "s3_endpoint_url", "s3_public_base_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value else None

    @field_validator("comfy_home")
    @classmethod
    def _is_comfyui(cls, value: Path | None) -> Path | None:
        if value is not None and not (value / "main.py").is_file():
            raise ValueError("holds no ComfyUI (no main.py there)")
        return value


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: with every variable that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        raise SettingsError(problems=problems, hint="see the table in the README for what each takes") from None


def variables() -> list[tuple[str, list[str], str, str]]:
    """Every setting: its field, its variable's names, its default and what it is for; the README's table."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.default == () else _default_text(field.default)
        rows.append((name, _names(field.validation_alias), default, field.description or ""))
    return rows


def _default_text(value: Any) -> str:
    if value == (bundled_workflows(),):
        return "the engine's own folder"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names(alias: Any) -> list[str]:
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def _problem(item: Mapping[str, Any]) -> Problem:
    name = str(item["loc"][0]) if item["loc"] else ""
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "must", 1)
    value = item.get("input")
    is_secret = "SECRET" in name or "TOKEN" in name
    return Problem(name, message if is_secret else f"{message} (got {shown(str(value))})")
