"""A job as RunPod's API tells of it: in answers, and in what webhooks get."""

from __future__ import annotations

from typing import Any

from engine.local_queue import JobRecord, JobState
from engine.server.links import with_base

_OF_THE_PLATFORM = ("error", "refresh_worker")
"""What the SDK takes out of a reply (runpod 1.12, rp_job.py); the rest is the output."""


def job_document(record: JobRecord, base_url: str, *, paths: bool = False) -> dict[str, Any]:
    """A job in RunPod's shape (https://docs.runpod.io/serverless/endpoints/operation-reference).

    Args:
        record: the job.
        base_url: of this server, as the caller reaches it: links in the output begin with it.
        paths: leave the paths of results beside their links, for callers on the same machine.

    Returns:
        `id` and `status`; `delayTime` once it was begun and `executionTime` once it is over, in milliseconds; `output`:
        the result, of a job that failed `{"failure": …}`, of one that runs the progress; and `error`, one text.
    """
    document: dict[str, Any] = {"id": record.id, "status": str(record.state)}
    if record.started_at is not None:
        document["delayTime"] = _milliseconds(record.created_at, record.started_at)
        document["workerId"] = "local"
        if record.finished_at is not None:
            document["executionTime"] = _milliseconds(record.started_at, record.finished_at)
    elif record.finished_at is not None:
        document["delayTime"] = _milliseconds(record.created_at, record.finished_at)
    output = output_of(record)
    if output is not None:
        document["output"] = with_base(output, base_url, paths=paths)
    if (error := error_of(record)) is not None:
        document["error"] = error
    return document


def output_of(record: JobRecord) -> dict[str, Any] | None:
    """What a job gives, as RunPod's `output`: the result, the failure, or while it runs the progress."""
    if record.state == JobState.IN_PROGRESS:
        return dict(record.progress) if record.progress else None
    if record.reply is None or not record.state.final:
        return None
    return {key: value for key, value in record.reply.items() if key not in _OF_THE_PLATFORM} or None


def error_of(record: JobRecord) -> str | None:
    """Why a job failed, in one text; None where it did not."""
    return record.reply.get("error") if record.reply is not None and record.state.final else None


def _milliseconds(begin: float, end: float) -> int:
    return max(0, round((end - begin) * 1000))
