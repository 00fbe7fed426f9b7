"""A job as callers of the typed routes see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.errors import Cancelled, EngineError, ExecutionTimeout
from engine.local_queue import JobRecord, JobState
from engine.replies import failure_reply
from engine.server.links import with_base
from engine.server.platform_documents import output_of

_LONGEST_TEXT = 4096
"""What is longer is a file that was sent in the payload, which nobody wants to see again."""


def job_document(record: JobRecord, base_url: str, *, paths: bool, output: bool = True) -> dict[str, Any]:
    """A job, in JSON's types; what it has not got (yet) is null.

    Args:
        record: the queue's.
        base_url: of the server, for links.
        paths: tell where results lie.
        output: with its result or failure.
    """
    payload, shortened = _payload(record.input)
    document: dict[str, Any] = {
        "id": record.id,
        "status": record.state.value,
        "workflow": record.workflow or None,
        "created_at": _moment(record.created_at),
        "started_at": _moment(record.started_at),
        "finished_at": _moment(record.finished_at),
        "delayTime": _milliseconds(record.created_at, record.started_at),
        "executionTime": _milliseconds(record.started_at, record.finished_at),
        "position": record.position,
        "progress": None if record.state.final else record.progress,
        "payload": payload,
    }
    if shortened or record.shortened:
        document["payload_shortened"] = True
    return document | (_outcome(record, base_url, paths=paths) if output else {})


def failure_of(record: JobRecord) -> dict[str, Any]:
    """The failure document of a job that has ended without a result."""
    reply = record.reply or {}
    if isinstance(reply.get("failure"), Mapping):
        return {"error": reply.get("error") or str(reply["failure"].get("code")), "failure": reply["failure"]}
    if record.state is JobState.CANCELLED:
        return failure_reply(Cancelled("the job was cancelled"))
    if record.state is JobState.TIMED_OUT:
        return failure_reply(ExecutionTimeout("the job was given up: its time was over"))
    return failure_reply(EngineError())


def _outcome(record: JobRecord, base_url: str, *, paths: bool) -> dict[str, Any]:
    if record.state is JobState.COMPLETED:
        return {"output": with_base(output_of(record), base_url, paths=paths), "error": None, "failure": None}
    return {"output": None, **(failure_of(record) if record.state.final else {"error": None, "failure": None})}


def _payload(request: Any) -> tuple[Any, bool]:
    """The payload of a request, files that are long texts left out; and whether some were."""
    payload = request.get("payload") if isinstance(request, Mapping) else None
    return _shorter(payload)


def _shorter(value: Any) -> tuple[Any, bool]:
    if isinstance(value, str):
        return (None, True) if len(value) > _LONGEST_TEXT and " " not in value[:_LONGEST_TEXT] else (value, False)
    if isinstance(value, Mapping):
        pairs = {key: _shorter(each) for key, each in value.items()}
        return {key: each for key, (each, _) in pairs.items()}, any(changed for _, changed in pairs.values())
    if isinstance(value, list | tuple):
        found = [_shorter(each) for each in value]
        return [each for each, _ in found], any(changed for _, changed in found)
    return value, False


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else max(0, round((end - start) * 1000))
