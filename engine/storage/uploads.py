"""What buckets have in common: names for a job's results, and several uploads at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.logs import carrying
from engine.name_templates import DEFAULT_TEMPLATE, result_names
from engine.results import OutputFile, StoredOutput


def upload_all(
    outputs: Sequence[OutputFile],
    upload: Callable[[OutputFile, Path, str], StoredOutput],
    *,
    naming: Naming,
    delivery: Delivery,
    root: str,
    at_once: int,
    cancel: CancellationToken,
) -> list[StoredOutput]:
    """Uploads the results of a job; texts are handed on as they are.

    Args:
        outputs: of the job.
        upload: uploads one: the result, its file, and the key to put it under.
        naming: what keys can be made of.
        delivery: with the request's template and prefix.
        root: the bucket's own prefix.
        at_once: how many uploads.
        cancel: looked at before each begins.

    Returns:
        One stored output for each output, in order.

    Raises:
        Cancelled: the job was cancelled. Uploads that have begun are waited for, but where `upload` ends them.
        StorageError: what `upload` raised first; no other begins then, and those that have begun are waited for.
    """
    with_file = [(output, output.path) for output in outputs if output.path is not None]
    if not with_file:
        return [StoredOutput(output) for output in outputs]
    keys = result_names(
        [output for output, _ in with_file],
        template=delivery.filename or DEFAULT_TEMPLATE,
        prefix=delivery.prefix,
        root=root,
        naming=naming,
        moment=datetime.now(UTC),
    )

    def unless_cancelled(output: OutputFile, path: Path, key: str) -> StoredOutput:
        cancel.raise_if_cancelled()
        return upload(output, path, key)

    with ThreadPoolExecutor(min(at_once, len(with_file)), "upload") as pool:
        uploads = [
            pool.submit(carrying(unless_cancelled), output, path, key)
            for (output, path), key in zip(with_file, keys, strict=True)
        ]
        try:
            stored = iter([upload.result() for upload in uploads])
        except BaseException:
            # What has not begun need not; leaving the block waits for what has.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [StoredOutput(output) if output.path is None else next(stored) for output in outputs]
