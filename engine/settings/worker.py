"""Settings of the worker's life: how it starts, what it must find, how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from engine.settings.fields import Part, named


class WorkerSettings(Part):
    """The worker."""

    comfy_start: Literal["boot", "first_job"] = Field(
        "boot",
        validation_alias=named("COMFY_START"),
        description="when ComfyUI is started: at `boot`, before jobs are taken, or by the `first_job` that needs it",
    )
    warmup_workflow: str | None = Field(
        None,
        validation_alias=named("WARMUP_WORKFLOW"),
        description="a workflow that is run once before the first job, with its first example, so that its models are "
        "loaded by then",
    )
    models_fetch: Literal["never", "start"] = Field(
        "never",
        validation_alias=named("MODELS_FETCH"),
        description="whether a worker fetches at its `start` the models that its workflows need and that are missing; "
        "jobs wait for it as long as RUNPOD_INIT_TIMEOUT allows",
    )
    runpod_init_timeout: float = Field(
        420,
        gt=0,
        allow_inf_nan=False,
        validation_alias=named("RUNPOD_INIT_TIMEOUT"),
        description="RunPod's own: seconds that it gives a worker to get ready; with MODELS_FETCH=start jobs are taken "
        "90 seconds before they are over, whatever is still being fetched",
    )
    volume_path: Path = Field(
        Path("/runpod-volume"),
        validation_alias=named("VOLUME_PATH"),
        description="where the network volume is mounted",
    )
    volume_required: bool = Field(
        False,
        validation_alias=named("VOLUME_REQUIRED"),
        description="wait for the volume even where no other variable names anything on it, and do not start without; "
        "an image whose models are on the volume says so",
    )
    volume_wait_seconds: float = Field(
        60,
        ge=0,
        allow_inf_nan=False,
        validation_alias=named("VOLUME_WAIT_SECONDS"),
        description="how long to wait at the start for what other variables name on the volume",
    )
    min_free_disk_bytes: int = Field(
        500_000_000,
        ge=0,
        validation_alias=named("MIN_FREE_DISK_BYTES"),
        description="with less room for temporary files a worker takes no jobs, and ends",
    )
    skip_gpu_check: bool = Field(
        False,
        validation_alias=named("RUNPOD_SKIP_GPU_CHECK"),
        description="start without asking the GPU's driver; the RunPod SDK then leaves out a check of its own, too",
    )
    drain_seconds: float = Field(
        20,
        ge=0,
        allow_inf_nan=False,
        validation_alias=named("DRAIN_SECONDS"),
        description="how long running jobs may still take once the worker is told to stop (SIGTERM)",
    )
    refresh_worker: bool = Field(
        False,
        validation_alias=named("REFRESH_WORKER"),
        description="ask to be replaced after every job that runs a workflow, so that each finds a new worker; each "
        "then waits for one to start",
    )
    jobs_at_once: int = Field(
        32,
        ge=1,
        le=64,
        validation_alias=named("JOBS_AT_ONCE"),
        description="the most jobs that a worker has at once, where they are short: one executes, the inputs of the "
        "next and the results of the last are on their way; 1 takes one after the other. A worker with REFRESH_WORKER "
        "has one",
    )
    job_hold_seconds: float = Field(
        30,
        ge=0,
        allow_inf_nan=False,
        validation_alias=named("JOB_HOLD_SECONDS"),
        description="how long a job may have to wait in a worker for those before it; fewer are taken at once where "
        "they execute for longer",
    )
    runpod_progress: bool = Field(
        True, validation_alias=named("RUNPOD_PROGRESS"), description="tell RunPod how far a job is, while it runs"
    )
