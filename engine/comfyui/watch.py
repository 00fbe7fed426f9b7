"""What jobs know of the process behind ComfyUI: whether it is there, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.cancellation import CancellationToken
from engine.errors import ComfyUnavailable


@dataclass(frozen=True, slots=True)
class Crash:
    """How a ComfyUI came to its end.

    Attributes:
        reason: in words: `it was killed by SIGKILL`.
        out_of_memory: the container's counter says that the kernel killed a process for want of memory meanwhile.
        log: the last lines of its log that matter; for the operator alone.
    """

    reason: str
    out_of_memory: bool = False
    log: str = ""


class ComfyStopped(ComfyUnavailable):
    """ComfyUI was gone before a job had ended: the job can be run again.

    Args:
        message: what was wrong.
        began: the job had begun, and may be the reason.
        crash: how it ended, where that is known.
        hint: what to do about it.
        detail: for the log only; left out, what the crash left behind.
    """

    def __init__(
        self,
        message: str,
        *,
        began: bool = True,
        crash: Crash | None = None,
        hint: str | None = None,
        detail: str | None = None,
    ) -> None:
        crashed = f"{crash.reason}\n{crash.log}".strip() if crash else None
        super().__init__(message, hint=hint, detail=detail or crashed)
        self.began = began
        self.crash = crash


class Watch(Protocol):
    """Whether a ComfyUI is there, and what to do when it is not."""

    @property
    def started(self) -> bool:
        """Whether it is there, or comes by itself: nobody has to wait for a start."""

    @property
    def generation(self) -> int:
        """The number of its process; another one after each restart."""

    @property
    def worn_out(self) -> str | None:
        """Why its machine had better be replaced; None while there is no reason."""

    def crash_of(self, generation: int) -> Crash | None:
        """How that process ended; None while it runs, or nobody can know."""

    def begin(self) -> None:
        """Start it, if it is ours and was not started yet; returns when its process runs, before it answers."""

    def wait_until_up(self, cancel: CancellationToken) -> None:
        """Wait for a ComfyUI that answers; start it, if nobody did.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not come.
        """

    def suspect(self) -> None:
        """It did not answer when it should have: look again before the next use."""

    def restart(self, why: str, generation: int | None = None) -> bool:
        """End it and start it again, beside; false where it is not ours to restart.

        Args:
            why: for the log.
            generation: the process that is meant: a later one is left alone.
        """

    def give_up(self, why: str) -> None:
        """No restart helps: the machine had better be replaced."""

    def went_well(self) -> None:
        """A job ran to its end: what was before is forgiven."""

    def close(self) -> None:
        """Watch no more, and end what was started."""
