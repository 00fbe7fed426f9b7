"""What buckets have in common: names for a job's results, several uploads at once, and none left of a cancelled job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import UTC, datetime

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.errors import StorageError
from engine.logs import carrying
from engine.name_templates import DEFAULT_TEMPLATE, result_names
from engine.results import OutputFile, StoredOutput
from engine.storage.parcels import Parcel, Undelivered, Waiting
from engine.storage.retrying import is_local


def waiting_outputs(
    outputs: Sequence[OutputFile],
    *,
    naming: Naming,
    delivery: Delivery,
    root: str,
    uri: Callable[[str], str],
    headers: Callable[[OutputFile], Mapping[str, str]],
) -> list[StoredOutput | Waiting]:
    """What of a job is to be uploaded, and under which keys: those are settled here, once, whenever it gets there.

    Args:
        outputs: of the job.
        naming: what keys can be made of.
        delivery: with the request's template and prefix.
        root: the bucket's own prefix.
        uri: of a key.
        headers: what goes with the object of a result.

    Returns:
        For each output, in order: what waits; a text as it is.
    """
    keys = iter(
        result_names(
            [output for output in outputs if output.path is not None],
            template=delivery.filename or DEFAULT_TEMPLATE,
            prefix=delivery.prefix,
            root=root,
            naming=naming,
            moment=datetime.now(UTC),
        )
    )
    planned: list[StoredOutput | Waiting] = []
    for output in outputs:
        if output.path is None:
            planned.append(StoredOutput(output))
        else:
            key = next(keys)
            parcel = Parcel(output.path, key, output.size_bytes, output.sha256, headers(output))
            planned.append(Waiting(output, parcel, uri(key)))
    return planned


def upload_all(
    planned: Sequence[StoredOutput | Waiting],
    upload: Callable[[Waiting], StoredOutput],
    remove: Callable[[Collection[str]], None],
    *,
    at_once: int,
    cancel: CancellationToken,
) -> list[StoredOutput]:
    """Uploads the results of a job; texts are handed on as they are.

    Args:
        planned: as `waiting_outputs` gave it.
        upload: uploads one; ends soon once the job is cancelled.
        remove: removes the objects of these keys, as far as it may; does not raise.
        at_once: how many uploads.
        cancel: looked at before each begins.

    Returns:
        One stored output for each output, in order.

    Raises:
        Cancelled: the job was cancelled. What was uploaded by then is removed.
        Undelivered: the bucket did not take them for now. No other begins then.
        StorageError: it does not take one for good; likewise.
    """
    waiting = [each for each in planned if isinstance(each, Waiting)]
    if not waiting:
        return [each for each in planned if isinstance(each, StoredOutput)]

    def unless_cancelled(each: Waiting) -> StoredOutput:
        cancel.raise_if_cancelled()
        return upload(each)

    with ThreadPoolExecutor(min(at_once, len(waiting)), "upload") as pool:
        uploads = [pool.submit(carrying(unless_cancelled), each) for each in waiting]
        done, _ = wait_for(uploads, return_when="FIRST_EXCEPTION")
        if any(each.exception() for each in done):
            # What has not begun need not; leaving the block waits for what has.
            pool.shutdown(wait=False, cancel_futures=True)
    failures = [error for each in uploads if (error := _failure(each))]
    outcome = _outcome(planned, uploads)
    if failures and cancel.cancelled:
        remove([each.parcel.key for each, done in zip(waiting, uploads, strict=True) if not _failed(done)])
        cancel.raise_if_cancelled()
    for error in failures:
        if not isinstance(error, StorageError) or not error.retryable or is_local(error):
            raise error
    if failures and isinstance(failures[0], StorageError):
        raise Undelivered(failures[0], outcome) from failures[0]
    return [each for each in outcome if isinstance(each, StoredOutput)]


def _failed(upload: Future[StoredOutput]) -> bool:
    return upload.cancelled() or upload.exception() is not None


def _failure(upload: Future[StoredOutput]) -> BaseException | None:
    return None if upload.cancelled() else upload.exception()


def _outcome(
    planned: Sequence[StoredOutput | Waiting], uploads: Sequence[Future[StoredOutput]]
) -> list[StoredOutput | Waiting]:
    """The plan, with what was uploaded in its place."""
    done = iter(uploads)
    outcome: list[StoredOutput | Waiting] = []
    for each in planned:
        upload = next(done) if isinstance(each, Waiting) else None
        outcome.append(each if upload is None or _failed(upload) else upload.result())
    return outcome
