"""Settings of the ComfyUI that runs the graphs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from engine.errors import Problem, SettingsError
from engine.settings.fields import Part, UpperCase, Urls, named
from engine.volume import VERSION_ID


class ComfySettings(Part):
    """ComfyUI."""

    comfy_url: Urls = Field(
        None,
        validation_alias=named("COMFY_URL"),
        description="a ComfyUI that runs, such as http://127.0.0.1:8188; of the local server also several, with "
        "commas, each of which runs a job at a time",
    )
    comfy_folder: Path | None = Field(
        None,
        validation_alias=named("COMFY_FOLDER"),
        description="the folder that holds the input/, output/ and temp/ of the ComfyUI at COMFY_URL, where it is on "
        "this machine's disk: files then need not go through HTTP, and are removed after each job",
    )
    comfy_home: Path | None = Field(
        None,
        validation_alias=named("COMFY_HOME"),
        description="ComfyUI's folder; it is started and watched. COMFY_URL comes first",
    )
    version_id: str | None = Field(
        None,
        pattern=f"^{VERSION_ID.pattern}$",
        validation_alias=named("VERSION_ID"),
        description="an environment of the volume, in place of COMFY_HOME: the one of `versions/ID.json`, which is "
        "verified before it is used",
    )
    comfy_python: Path | None = Field(
        None,
        validation_alias=named("COMFY_PYTHON"),
        description="the Python that runs it; by default that of a venv in its folder, else ours",
    )
    models_dir: Path | None = Field(
        None,
        validation_alias=named("MODELS_DIR"),
        description="a folder of models beside ComfyUI's own, with checkpoints/, loras/ and so on in it; where "
        "`engine models fetch` puts what it fetches. Those of the volume are found without it",
    )
    comfy_args: Annotated[tuple[str, ...], NoDecode] = Field(
        (), validation_alias=named("COMFY_ARGS"), description="more arguments for it, such as --cpu or --lowvram"
    )
    comfy_log: Path = Field(
        Path("comfyui.log"), validation_alias=named("COMFY_LOG"), description="where its output goes"
    )
    comfy_log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None, UpperCase] = Field(
        None,
        validation_alias=named("COMFY_LOG_LEVEL"),
        description="how much of it: ComfyUI's own `--verbose`, given to the ComfyUI of COMFY_HOME",
    )
    comfy_start_seconds: float = Field(
        300, gt=0, validation_alias=named("COMFY_START_SECONDS"), description="how long it may take to start"
    )
    comfy_wait_seconds: float = Field(
        60,
        ge=0,
        validation_alias=named("COMFY_WAIT_SECONDS"),
        description="how long a worker waits for the ComfyUI at COMFY_URL where it does not answer",
    )
    comfy_silent_seconds: float = Field(
        60,
        gt=0,
        validation_alias=named("COMFY_SILENT_SECONDS"),
        description="how long ComfyUI may leave everything unanswered before it counts as hung; one of COMFY_HOME is "
        "then restarted",
    )
    comfy_stop_seconds: float = Field(
        30,
        gt=0,
        validation_alias=named("COMFY_STOP_SECONDS"),
        description="how long a cancelled or late job may go on, until the end of its step; then the ComfyUI of "
        "COMFY_HOME is restarted",
    )
    comfy_most_crashes: int = Field(
        3,
        ge=1,
        validation_alias=named("COMFY_MOST_CRASHES"),
        description="how often in a row ComfyUI may stop before the worker asks to be replaced (`refresh_worker`)",
    )
    comfy_simulate: bool = Field(
        False,
        validation_alias=named("COMFY_SIMULATE"),
        description="let the worker use the simulator; the command line does so without a ComfyUI",
    )
    comfy_cleanup: bool = Field(
        True,
        validation_alias=named("COMFY_CLEANUP"),
        description="once a job's results are stored, remove its files from ComfyUI's output and temp folders "
        "(where they are on this machine's disk) and its entry from the history",
    )
    comfy_org_api_key: str | None = Field(
        None,
        repr=False,
        validation_alias=named("COMFY_ORG_API_KEY"),
        description="for nodes that call comfy.org's paid services",
    )
    timeout_seconds: float = Field(
        600, gt=0, validation_alias=named("TIMEOUT_SECONDS"), description="the longest a job may execute"
    )
    queue_timeout_seconds: float = Field(
        600, gt=0, validation_alias=named("QUEUE_TIMEOUT_SECONDS"), description="the longest it may wait in ComfyUI"
    )

    stall_seconds: float = Field(
        300,
        gt=0,
        validation_alias=named("STALL_SECONDS"),
        description="the longest a job may make no progress while it executes; nodes that never tell of any need more",
    )

    @field_validator("comfy_args", mode="before")
    @classmethod
    def _split_args(cls, value: Any) -> Any:
        return tuple(shlex.split(value)) if isinstance(value, str) else value

    @field_validator("comfy_home")
    @classmethod
    def _is_comfyui(cls, value: Path | None) -> Path | None:
        if value is None or (value / "main.py").is_file():
            return value
        inside = value / "ComfyUI"  # some workers name the folder that holds it and its Python environment
        if not (inside / "main.py").is_file():
            raise ValueError("holds no ComfyUI (no main.py there, nor in a folder ComfyUI of it)")
        return inside

    @field_validator("comfy_folder")
    @classmethod
    def _has_its_folders(cls, value: Path | None) -> Path | None:
        if value is not None and not ((value / "input").is_dir() and (value / "output").is_dir()):
            raise ValueError("holds no input/ and output/ of a ComfyUI")
        return value

    @property
    def comfy_urls(self) -> tuple[str, ...]:
        """Each ComfyUI that COMFY_URL names; none where it is not set."""
        return tuple(self.comfy_url.split(",")) if self.comfy_url else ()

    @property
    def only_comfy_url(self) -> str | None:
        """The ComfyUI that COMFY_URL names, for what uses one.

        Raises:
            SettingsError: it names several.
        """
        if len(self.comfy_urls) > 1:
            raise SettingsError(
                problems=[
                    Problem("COMFY_URL", f"names {len(self.comfy_urls)}, and only the local server uses several")
                ],
                hint="name one; or start the local server (engine serve, or a Pod), which runs a job on each",
            )
        return self.comfy_url
