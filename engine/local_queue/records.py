"""What the local queue keeps of a job."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class JobState(enum.StrEnum):
    """How a job stands, in RunPod's words (https://docs.runpod.io/serverless/endpoints/job-states)."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def final(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (JobState.IN_QUEUE, JobState.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be taken.

    Attributes:
        input: the request, as a RunPod job's `input`.
        workflow: its workflow's name, for the history; empty where it names none.
        s3_config: what stood beside the input.
        webhook: a URL that the finished job is posted to.
        base_url: of this server, as whoever sent the job reaches it: links in what is posted begin with it.
        execution_seconds: that it may run; None for the operator's bound.
        lifetime_seconds: after which it is given up, counted from now; None for the operator's bound.
    """

    input: Any = field(repr=False)
    workflow: str = ""
    s3_config: Mapping[str, Any] | None = field(default=None, repr=False)
    webhook: str | None = field(default=None, repr=False)
    base_url: str = ""
    execution_seconds: float | None = None
    lifetime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands.

    Attributes:
        id: its name.
        state: how it stands.
        workflow: its workflow's name, or empty.
        input: the request; once it is done without what is secret or long (see `shortened`).
        created_at: seconds since 1970.
        started_at: when it was first begun; None before.
        finished_at: when it ended; None before.
        position: how many wait before it; None where it does not wait.
        progress: the latest, as `engine.reporting.progress_document` shows it; None where there is none.
        reply: what `engine.envelope.answer` gave; None before.
        attempts: how often it was begun: twice where the server ended while it ran.
        shortened: whether `input` was changed.
    """

    id: str
    state: JobState
    workflow: str
    input: Any = field(repr=False)
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    position: int | None = None
    progress: Mapping[str, Any] | None = field(default=None, repr=False)
    reply: Mapping[str, Any] | None = field(default=None, repr=False)
    attempts: int = 0
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A result of a job, kept on this machine.

    Attributes:
        number: among the job's.
        path: where it lies.
        content_type: its media type.
    """

    number: int
    path: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How the queue stands.

    Attributes:
        waiting: jobs in the queue.
        running: jobs that run.
        completed: since the server's data was begun.
        failed: likewise, those that timed out included.
        retried: begun again after the server ended amid them.
        workers: how many jobs can run at once.
        ready: how many of the workers have a ComfyUI that answers.
    """

    waiting: int
    running: int
    completed: int
    failed: int
    retried: int
    workers: int
    ready: int
