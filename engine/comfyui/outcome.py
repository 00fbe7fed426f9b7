"""What an entry of `/history` stands for: an execution, or the error it ended in.

The shape was measured on ComfyUI 0.3.64 and 0.8.0: `{outputs, status: {status_str, completed, messages}}`,
where `messages` are `[type, data]` with a timestamp in milliseconds of ComfyUI's clock. A cancelled run has
the status `error`, and only `execution_interrupted` among its messages tells it from a failed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.comfyui.complaints import execution_failure, warnings_of
from engine.errors import Cancelled, ComfyError, ExecutionFailed
from engine.results import Execution


def outcome(
    entry: Mapping[str, Any],
    *,
    graph: Mapping[str, Any],
    prompt_id: str,
    node_errors: Mapping[str, Any],
    elapsed_seconds: float,
    queue_seconds: float | None,
) -> Execution:
    """Read a history entry.

    Args:
        entry: of that prompt.
        graph: what was queued; it knows the nodes' titles.
        prompt_id: its id.
        node_errors: what `/prompt` answered when it took the graph.
        elapsed_seconds: from queueing to the end, by our clock.
        queue_seconds: from queueing to the start, by our clock; None where the start went unheard.

    Raises:
        Cancelled: it was interrupted.
        OutOfMemory: a node ran out of memory.
        ExecutionFailed: a node raised.
    """
    status = entry.get("status") or {}
    messages = [(str(kind), data or {}) for kind, data in status.get("messages") or ()]
    errors = [data for kind, data in messages if kind == "execution_error"]
    if status.get("status_str") == "error":
        raise _failure(messages, errors, graph)

    execute_seconds = min(_execute_seconds(messages, elapsed_seconds), elapsed_seconds)
    return Execution(
        prompt_id=prompt_id,
        outputs={node: dict(made) for node, made in (entry.get("outputs") or {}).items() if made},
        queue_seconds=elapsed_seconds - execute_seconds if queue_seconds is None else queue_seconds,
        execute_seconds=execute_seconds,
        warnings=(
            *warnings_of(node_errors, graph),
            *(execution_failure(error, graph).message for error in errors),
        ),
    )


def _failure(messages: list[tuple[str, Any]], errors: list[Any], graph: Mapping[str, Any]) -> ComfyError:
    if errors:
        return execution_failure(errors[-1], graph)
    if any(kind == "execution_interrupted" for kind, _ in messages):
        return Cancelled("the job was interrupted in ComfyUI")
    return ExecutionFailed("ComfyUI reports a failure and does not say of which node", hint="see its log")


def _execute_seconds(messages: list[tuple[str, Any]], otherwise: float) -> float:
    times = {kind: data.get("timestamp") for kind, data in messages}
    start, end = times.get("execution_start"), times.get("execution_success")
    if not isinstance(start, int | float) or not isinstance(end, int | float):
        return otherwise
    return max((end - start) / 1000, 0.0)
