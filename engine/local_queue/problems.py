"""What the local queue refuses, in words for its callers."""

from __future__ import annotations

from engine.errors import EngineError, RequestError


class QueueFull(EngineError):
    """Too many jobs wait already."""

    code = "queue_full"
    meaning = "too many jobs wait already"
    retryable = True


class UnknownJob(RequestError):
    """There is no job, or no file of a job, of that name; finished jobs are forgotten after a while."""

    code = "unknown_job"
    meaning = "there is no such job (any more)"


class JobNotOver(RequestError):
    """It can't be done to a job that waits or runs."""

    code = "job_not_over"
    meaning = "the job has to end first"
