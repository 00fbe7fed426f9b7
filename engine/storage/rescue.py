"""What becomes of results that their bucket did not take: they go into the reply if they fit, and wait in the spool."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.errors import Cancelled, Problem, ResultTooLarge, StorageError
from engine.logs import event
from engine.results import OutputFile, StoredOutput
from engine.storage.courier import Courier
from engine.storage.inline import InlineStorage
from engine.storage.parcels import Bucket, Undelivered, Waiting
from engine.storage.spool import NotKeptError, Spool

log = logging.getLogger(__name__)

_OFF = "there is no spool (SPOOL_PATH)"
_CALLERS = "the credentials of a caller's own bucket are never written to disk"


class Rescue:
    """Stores in buckets, and saves what one does not take.

    Args:
        inline: puts results into the reply.
        spool: keeps them for later; None does not.
        buckets: the operator's, to which what waits is delivered.
    """

    def __init__(self, inline: InlineStorage, spool: Spool | None, buckets: Sequence[Bucket]) -> None:
        self._inline = inline
        self._spool = spool
        self._courier = Courier(spool, buckets) if spool and buckets else None

    def start(self) -> None:
        """Begins to deliver what waits, if anything does."""
        if self._courier is not None:
            self._courier.start()

    def close(self) -> None:
        """Ends that, soon."""
        if self._courier is not None:
            self._courier.close()

    def put(
        self,
        bucket: Bucket,
        outputs: Sequence[OutputFile],
        place: str | None,
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken,
    ) -> tuple[list[StoredOutput], list[str]]:
        """Stores the results of a job in a bucket.

        Args:
            bucket: which.
            outputs: of the job.
            place: the bucket and its server; None for a caller's own, for which nothing waits.
            naming: of the job.
            delivery: of the job.
            cancel: of the job.

        Returns:
            One stored output for each output, in order. Those that the bucket did not take for now are in the reply,
            if it has room, with a warning.

        Raises:
            Cancelled: the job was cancelled.
            StorageError: they are neither in the bucket nor in the reply; with `results_kept`, and the names of the
                objects to come, where they are kept for it.
        """
        known_away = self._courier is not None and place is not None and self._courier.knows_away(place)

        def stored_or_saved(*, known_away: bool) -> tuple[list[StoredOutput], list[str]]:
            try:
                stored = bucket.put(outputs, naming=naming, delivery=delivery, cancel=cancel, known_away=known_away)
            except Undelivered as error:
                return self._saved(error, place, naming, delivery, cancel)
            self._uploaded(stored, place)
            return stored, []

        try:
            return stored_or_saved(known_away=known_away)
        except StorageError as error:
            if not known_away or error.results_kept or not error.retryable:
                raise
        # Neither the spool nor the reply has room: the bucket alone can save them, so it gets all the patience.
        return stored_or_saved(known_away=False)

    def _uploaded(self, stored: Sequence[StoredOutput], place: str | None) -> None:
        if self._courier is not None and place is not None:
            self._courier.uploaded(place, [_key(each.uri) for each in stored if each.uri])

    def _saved(
        self, error: Undelivered, place: str | None, naming: Naming, delivery: Delivery, cancel: CancellationToken
    ) -> tuple[list[StoredOutput], list[str]]:
        cancel.raise_if_cancelled()
        not_kept = self._keep(error.waiting, place)
        try:
            return self._answered(error, not_kept, naming, delivery, cancel)
        except Cancelled:
            if self._spool is not None and place is not None:
                self._spool.forget(place, [each.parcel.key for each in error.waiting])
            raise
        finally:
            self.start()

    def _keep(self, waiting: Sequence[Waiting], place: str | None) -> str | None:
        """Why the results could not be kept; None if they are."""
        if place is None:
            return _CALLERS
        if self._spool is None:
            return _OFF
        try:
            self._spool.keep(place, [each.parcel for each in waiting])
        except NotKeptError as error:
            event(log, logging.ERROR, "results could not be kept for later", reason=str(error), **_told(place, waiting))
            return str(error)
        if self._courier is not None:
            self._courier.failed(place)
        event(log, logging.WARNING, "results wait for the bucket", **_told(place, waiting))
        return None

    def _answered(
        self,
        error: Undelivered,
        not_kept: str | None,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken,
    ) -> tuple[list[StoredOutput], list[str]]:
        try:
            stored = _in_reply(error, self._inline, naming, delivery, cancel)
        except ResultTooLarge:
            if not_kept is None:
                raise _later(error) from error
            hint = "; ".join(part for part in (error.hint, f"the results were not kept for later: {not_kept}") if part)
            raise StorageError(error.message, hint=hint, detail=error.detail) from error
        came = _named(error.waiting, "came", "came")
        if not_kept is None:
            return stored, [f"{error.message}: {came} in the reply, and will be in the bucket when it is back"]
        return stored, [f"{error.message}: {came} in the reply alone, and will not be in the bucket"]


def _in_reply(
    error: Undelivered, inline: InlineStorage, naming: Naming, delivery: Delivery, cancel: CancellationToken
) -> list[StoredOutput]:
    there = [each for each in error.outcome if isinstance(each, StoredOutput)]
    # Texts go into the reply anyway, and count.
    texts = [each.file for each in there if each.file.path is None]
    outputs = [*texts, *(each.output for each in error.waiting)]
    encoded = iter(inline.put(outputs, naming=naming, delivery=delivery, cancel=cancel)[len(texts) :])
    return [replace(next(encoded), uri=each.uri) if isinstance(each, Waiting) else each for each in error.outcome]


def _later(error: Undelivered) -> StorageError:
    """What a caller gets whose results wait. Not to be tried again: they will come, and a GPU would make them anew."""
    failure = StorageError(
        f"{error.message}: {_named(error.waiting, 'is', 'are')} kept, and will be there when the bucket is back",
        hint="do not send the job again; look for the objects that `problems` names",
        problems=[
            *(Problem(each.uri, "is kept, and will be there when the bucket is back") for each in error.waiting),
            *(
                Problem(each.uri, "is there already")
                for each in error.outcome
                if isinstance(each, StoredOutput) and each.uri
            ),
        ],
        detail=error.detail,
        retryable=False,
    )
    failure.results_kept = True
    return failure


def _named(waiting: Sequence[Waiting], one: str, several: str) -> str:
    """The objects, in a sentence."""
    first = waiting[0].uri
    return f"{first} {one}" if len(waiting) == 1 else f"{first} and {len(waiting) - 1} more {several}"


def _told(place: str, waiting: Sequence[Waiting]) -> dict[str, Any]:
    """The same for the log."""
    size = sum(each.parcel.size_bytes for each in waiting)
    return {"place": place, "outputs": len(waiting), "bytes": size, "first": waiting[0].uri}


def _key(uri: str) -> str:
    """Of `s3://BUCKET/KEY`."""
    return uri.split("/", 3)[3]
