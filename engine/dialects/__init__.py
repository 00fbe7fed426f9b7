"""The shapes of other workers' requests and replies, for clients that were written for those.

A dialect turns our own result (`JobResult.as_dict()`) into the shape that its worker gives. Failures have one shape
in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.dialects import base64_reply, gcs, ours, results, worker_comfyui
from engine.dialects.choice import dialect_of
from engine.dialects.delivery import delivery_of
from engine.dialects.files import sent_files

__all__ = ["DIALECTS", "delivery_of", "dialect_of", "sent_files", "shaped"]

DIALECTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "engine": ours.shape,
    "worker-comfyui": worker_comfyui.shape,
    "results": results.shape,
    "gcs": gcs.shape,
    "base64": base64_reply.shape,
}
"""From our result to each dialect's; the names are those that RESPONSE_DIALECT takes."""


def shaped(result: dict[str, Any], dialect: str, *, verbose: bool = False) -> dict[str, Any]:
    """A result in a dialect.

    Args:
        result: ours; it is left as it is.
        dialect: one of `DIALECTS`.
        verbose: add our own result under `details`, where the dialect is another's; without the base64 of files,
            which the reply already holds once.
    """
    reply = DIALECTS[dialect](result)
    if verbose and dialect != "engine":
        outputs = [{key: value for key, value in each.items() if key != "base64"} for each in result["outputs"]]
        reply = {**reply, "details": {**result, "outputs": outputs}}
    return reply
