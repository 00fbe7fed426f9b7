"""Whether what waits for a bucket still has to go there: an object of its key may be there already."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from engine.storage.parcels import Parcel

MADE_AT = "made-at"
"""The metadata of an object that came late: when it was made, seconds since 1970."""

_TELLS_SECONDS = 2.0  # both of a bucket's times are told in whole seconds

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a bucket describes it.

    Attributes:
        size_bytes: its length.
        md5: of its bytes, as hex, where the bucket tells; what else it may tell in its place matches nothing.
        age_seconds: since it was put there, by one clock.
        made_at: its metadata of that name.
    """

    size_bytes: int
    md5: str
    age_seconds: float
    made_at: str | None

    def makes_needless(self, parcel: Parcel, made_at: float) -> bool:
        """Whether a result of before need not, or must not, be sent: this is it, or is newer."""
        if self.size_bytes == parcel.size_bytes and self.md5 == _digest(parcel.path, "md5"):
            return True
        try:
            # One that came late as well says it itself, and its age says nothing.
            if self.made_at:
                return float(self.made_at) > made_at
            return self.age_seconds + _TELLS_SECONDS < time.time() - made_at
        except ValueError:
            return False


def age(modified: datetime, now: str | None) -> float:
    """Seconds since an object was put there.

    Args:
        modified: when, by the bucket's clock.
        now: the same clock's time, as an HTTP header has it; None takes ours.
    """
    try:
        return (parsedate_to_datetime(now or "") - modified).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return (datetime.now(UTC) - modified).total_seconds()


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes, as hex.

    Raises:
        OSError: it can't be read.
    """
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
