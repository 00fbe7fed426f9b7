"""Results in the reply itself, as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.errors import ResultTooLarge, StorageError
from engine.results import OutputFile, StoredOutput

_FREE, _DESCRIBED_BYTES = 100, 1_000
"""Beside its limit a reply has room for what is said of the first so many outputs: names, hashes, places in a bucket.
What is said of each further one counts as so many bytes."""


class InlineStorage:
    """Puts results into the reply, up to a limit.

    Args:
        limit_bytes: the most that the base64 of all outputs of a job, their texts and thumbnails, may take together.
            What is above the platform's own limit is lost while the job shows COMPLETED: RunPod takes 10 MB as the
            result of a job sent to `/run` and 20 MB for `/runsync`
            (https://docs.runpod.io/serverless/endpoints/operation-reference).
    """

    name = "inline"

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,  # noqa: ARG002 - the reply needs no names
        delivery: Delivery,  # noqa: ARG002 - nor is there a choice
        cancel: CancellationToken | None = None,
    ) -> list[StoredOutput]:
        """Encodes the results; see `Storage.put`.

        Raises:
            Cancelled: the job was cancelled.
            ResultTooLarge: they are above the limit. Nothing was read then.
            StorageError: a result file can't be read.
        """
        cancel = cancel or CancellationToken()
        total = sum(_reply_size(output) for output in outputs) + max(len(outputs) - _FREE, 0) * _DESCRIBED_BYTES
        if total > self._limit_bytes:
            results = "the result takes" if len(outputs) == 1 else f"the {len(outputs)} results take"
            raise ResultTooLarge(
                f"{results} {total} bytes in the reply, and at most {self._limit_bytes} fit",
                hint="configure a bucket (S3_BUCKET or GCS_BUCKET), which has no such limit, or ask for fewer or "
                "smaller results",
            )
        return [self._stored(output, cancel) for output in outputs]

    def _stored(self, output: OutputFile, cancel: CancellationToken) -> StoredOutput:
        cancel.raise_if_cancelled()
        if output.path is None:
            return StoredOutput(output)
        try:
            content = output.path.read_bytes()
        except OSError as error:
            raise StorageError(
                f"the result {output.filename} could not be read: {error.strerror}", detail=str(error)
            ) from error
        return StoredOutput(output, base64=base64.b64encode(content).decode("ascii"))


def _reply_size(output: OutputFile) -> int:
    """The bytes that an output takes in the reply.

    Base64 makes four of every three. A text counts as JSON in ASCII, the longest form in which it may be written: six
    bytes for `é`, twelve for an emoji, two for a new line.
    """
    content = len(json.dumps(output.text or "")) if output.path is None else (output.size_bytes + 2) // 3 * 4
    return content + len(output.thumbnail or "")
