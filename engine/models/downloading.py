"""One file downloaded to its place: gone on with after a break, and checked before it takes its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.cancellation import CancellationToken
from engine.models.locking import FileLock
from engine.models.parts import Part
from engine.models.problems import Broken, DiskFull, LockLost, ModelProblem, OutOfRange, WrongFile
from engine.models.required import RequiredModel
from engine.models.sites import Source
from engine.models.space import Space, size_text
from engine.transfers import SILENCE_SECONDS, Transfer, watched

_PIECE_BYTES = 256 * 1024
_GOT_ON_BYTES = 1024 * 1024
"""So much more than ever before, and the tries are counted anew."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is put up with.

    Attributes:
        tries: in a row that get no further.
        pause_seconds: after the first; twice as long after each further one.
        silence_seconds: without a byte, after which a connection is given up.
        look_seconds: between two looks at the lock.
    """

    tries: int = 6
    pause_seconds: float = 1.0
    silence_seconds: float = SILENCE_SECONDS
    look_seconds: float = 1.0


class Downloaded(NamedTuple):
    """A file that is there now."""

    size_bytes: int
    sha256: str


class Download:
    """One download.

    Args:
        model: what it is known by.
        source: where it comes from.
        target: its name in the end; the folder is there.
        lock: held, by which no other process writes there.
        space: what all downloads count on.
        cancel: ends it; what is there is kept.
        moved: is told the bytes that are there and those of the whole file, or None.
        noted: is told what is worth a line.
        patience: how much is put up with.
    """

    def __init__(
        self,
        model: RequiredModel,
        source: Source,
        target: Path,
        *,
        lock: FileLock,
        space: Space,
        cancel: CancellationToken,
        moved: Callable[[int, int | None], None],
        noted: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self._model = model
        self._source = source
        self._target = target
        self._lock = lock
        self._space = space
        self._cancel = cancel
        self._moved = moved
        self._noted = noted
        self._patience = patience
        self._site_sha256: str | None = None
        self._looked = time.monotonic()

    def run(self) -> Downloaded:
        """Download it.

        Raises:
            WrongFile: what comes is not the file that is wanted; nothing of it is left.
            DiskFull: it is full; nothing of the file is left, or everyone else who writes there would fail.
            ModelProblem: it can't be had; what came is kept for the next try.
            Cancelled: it was ended; what came is kept.
        """
        with Part(self._target, self._source.url, has_hash=self._model.sha256 is not None) as part:
            try:
                return self._run(part)
            except (LockLost, WrongFile):
                raise
            except DiskFull as problem:
                had = part.size
                part.remove()
                raise DiskFull(
                    f"{problem.message}; the {size_text(had)} that had come were removed", problem.hint
                ) from problem
            except ModelProblem as problem:
                if not part.size or not part.is_of_use_later:
                    part.remove()
                    raise
                of = f" of {size_text(part.total)}" if part.total else ""
                kept = f"{size_text(part.size)}{of} are kept, and the next fetch goes on from there"
                raise ModelProblem(f"{problem.message}; {kept}", problem.hint) from problem

    def _run(self, part: Part) -> Downloaded:
        part.read_what_is_there(self._cancel, lambda size: self._moved(size, part.total))
        if part.size:
            self._noted(f"goes on after {size_text(part.size)}")
        try:
            self._gather_right(part)
        except WrongFile:
            part.remove()
            raise
        self._check_lock()
        part.finish()
        return Downloaded(part.size, part.sha256)

    def _check_lock(self) -> None:
        if not self._lock.is_held():
            raise LockLost("another process has taken the download over")

    def _gather_right(self, part: Part) -> None:
        """Download it, and once more where what is wrong may be wrong with a part that is from before."""
        self._gather(part)
        wrong = self._what_is_wrong(part)
        if wrong and part.resumed:
            self._noted(f"{wrong.message}: it is downloaded anew, as a part of it was from before")
            part.restart()
            self._gather(part)
            wrong = self._what_is_wrong(part)
        if wrong:
            raise wrong

    def _gather(self, part: Part) -> None:
        """Download until all of it is there, over as many connections as that takes."""
        failures, furthest = 0, part.size
        while not part.is_whole:
            try:
                self._once(part)
                return
            except Broken as problem:
                self._cancel.raise_if_cancelled()
                failures = 1 if part.size >= furthest + _GOT_ON_BYTES else failures + 1
                furthest = max(furthest, part.size)
                anew = ""
                # The file may be another one by now.
                if isinstance(problem, OutOfRange) or not part.is_of_use_later:
                    anew = " from the start" if part.size else ""
                    part.restart()
                if failures >= self._patience.tries:
                    raise
                pause = max(self._patience.pause_seconds * 2 ** (failures - 1), problem.after_seconds)
                self._noted(f"{problem.message}; again{anew} in {pause:.3g} s")
                self._cancel.wait(pause)
                self._cancel.raise_if_cancelled()

    def _once(self, part: Part) -> None:
        from engine.models.answers import answered, pieces

        transfer = Transfer(self._cancel, self._patience.silence_seconds)
        model, reservation = self._model, None
        try:
            with (
                watched(transfer),
                answered(
                    self._source,
                    have=part.size,
                    total=part.total,
                    validator=part.validator,
                    has_hash=model.sha256 is not None,
                ) as answer,
            ):
                self._site_sha256 = answer.sha256 or self._site_sha256
                self._check_length(answer.total)
                if answer.start != part.size:
                    self._noted("the server begins at the start again")
                    part.restart()
                elif part.size:
                    part.resumed = True
                part.belongs_to(answer.total, answer.validator or part.validator)
                total = answer.total or model.size_bytes
                reservation = self._space.reserve(self._target.parent, (total or 0) - part.size)
                for piece in pieces(answer, _PIECE_BYTES):
                    transfer.moved(len(piece))
                    # A process that was asleep may find that another has taken it for dead, and writes there now.
                    if time.monotonic() - self._looked > self._patience.look_seconds:
                        self._check_lock()
                        self._looked = time.monotonic()
                    part.write(piece)
                    reservation.bytes_left = max(reservation.bytes_left - len(piece), 0)
                    self._moved(part.size, total)
                    if total is not None and part.size > total:
                        break
                self._check_end(part, answer.total, chunked=bool(getattr(answer.response.raw, "chunked", False)))
        finally:
            self._space.release(reservation)
            self._cancel.raise_if_cancelled()

    def _check_length(self, total: int | None) -> None:
        wanted = self._model.size_bytes
        if wanted is not None and total is not None and total != wanted:
            raise WrongFile(
                f"the file at {self._source.host} has {total} bytes, the map says {wanted}",
                "correct url or size_bytes in requires.models: it is another file",
            )

    def _check_end(self, part: Part, total: int | None, *, chunked: bool) -> None:
        host = self._source.host
        if total is not None and part.size < total:
            raise Broken(f"the connection to {host} broke off after {size_text(part.size)} of {size_text(total)}")
        if total is not None and part.size > total:
            part.restart()
            raise Broken(f"{host} sent more than the {total} bytes that it had announced")
        if total is None and not part.size:  # also where the end of the connection was taken for that of the headers
            raise Broken(f"{host} sent nothing")
        if total is None and not chunked and self._model.sha256 is None and self._model.size_bytes is None:
            raise ModelProblem(
                f"{host} does not tell how long the file is, so that nobody can know whether all of it came",
                "give its sha256 or size_bytes in the map",
            )

    def _what_is_wrong(self, part: Part) -> WrongFile | None:
        model, host = self._model, self._source.host
        if not part.size and model.size_bytes is None and model.sha256 is None:
            return WrongFile(f"an empty file came from {host}", "correct the url in requires.models of the map")
        if model.size_bytes is not None and part.size != model.size_bytes:
            return WrongFile(
                f"wrong size: {part.size} bytes came from {host}, the map says {model.size_bytes}",
                "correct url or size_bytes in requires.models: it is another file",
            )
        if model.sha256 is not None and part.sha256 != model.sha256:
            return WrongFile(
                f"wrong sha256: {part.sha256} came from {host}, the map says {model.sha256}",
                "correct url or sha256 in requires.models: it is another file, or was changed on the way",
            )
        if model.sha256 is None and self._site_sha256 not in (None, part.sha256):
            return WrongFile(
                f"wrong sha256: {part.sha256} came, the site says {self._site_sha256}", "it was damaged on the way"
            )
        return None
