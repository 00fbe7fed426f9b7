"""Results on their way into a bucket: what goes where, and what did not get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.errors import StorageError
from engine.results import OutputFile, StoredOutput


@dataclass(frozen=True, slots=True)
class Parcel:
    """One file for a bucket, with all that it takes to send it, today or later.

    Attributes:
        path: the file.
        key: what it is called in the bucket, with all prefixes.
        size_bytes: its length.
        sha256: of its bytes, as hex.
        headers: what goes with the object, by the names of the bucket's client (`ContentType`).
    """

    path: Path
    key: str
    size_bytes: int
    sha256: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A result that the bucket does not have yet.

    Attributes:
        output: the result.
        parcel: what is to be sent.
        uri: where it will be, `s3://BUCKET/KEY`.
    """

    output: OutputFile
    parcel: Parcel
    uri: str


class Undelivered(StorageError):
    """The bucket did not take all results of a job, for a reason that passes.

    Args:
        cause: why.
        outcome: for each output of the job, in order: where it is, or that it waits.
    """

    def __init__(self, cause: StorageError, outcome: Sequence[StoredOutput | Waiting]) -> None:
        super().__init__(cause.message, hint=cause.hint, detail=cause.detail, retryable=True)
        self.outcome = list(outcome)

    @property
    def waiting(self) -> list[Waiting]:
        """The results that the bucket does not have."""
        return [each for each in self.outcome if isinstance(each, Waiting)]


class Bucket(Protocol):
    """What a place for results can do where it is a bucket."""

    @property
    def place(self) -> str:
        """Which bucket of which server this is; holds no secret."""
        ...

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
        known_away: bool = False,
    ) -> list[StoredOutput]:
        """Stores the results of one job; see `Storage.put`.

        Args:
            outputs: what the job made.
            naming: what names can be made of.
            delivery: how they are to be delivered.
            cancel: ends it.
            known_away: the bucket did not answer a moment ago: each upload is tried once, for a few seconds, since the
                GPU waits meanwhile.

        Raises:
            Cancelled: it was ended.
            Undelivered: the bucket did not take them for now.
            StorageError: it does not take them for good.
        """
        ...

    def deliver(self, parcel: Parcel, *, made_at: float, cancel: CancellationToken) -> bool:
        """Sends what has waited, unless the bucket has a newer object of that key, or this one already.

        Args:
            parcel: what to send.
            made_at: when the result was made, seconds since 1970.
            cancel: ends it.

        Returns:
            Whether it was sent.

        Raises:
            Cancelled: it was ended.
            StorageError: the bucket did not take it.
        """
        ...
