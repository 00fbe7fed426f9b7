"""What runs a call of a tool, whichever way: in this process, or through the local server's queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a call is.

    Attributes:
        fraction: of the whole, 0 to 1.
        words: what it is at, for people.
    """

    fraction: float
    words: str


OnStanding = Callable[[Standing], None]


class Calls(Protocol):
    """Runs requests; each is awaited in a task of its own."""

    @property
    def media(self) -> str:
        """The forms that a file among the arguments may have, to be read after "a picture:"."""

    async def call(self, request: dict[str, Any], told: OnStanding, base_url: str) -> dict[str, Any]:
        """Run a request to its end; the job is cancelled where the task that awaits it is.

        Args:
            request: as a RunPod job's `input`.
            told: is told how far it is, in the event loop's thread.
            base_url: of this server as the caller reaches it; empty where there is none.

        Returns:
            The reply, a failure among them; files with their `path` on this machine, where they are on it.

        Raises:
            EngineError: it was not taken, or cancelled by somebody else.
        """

    def shown(self, reply: dict[str, Any], base_url: str) -> dict[str, Any]:
        """A reply as its caller may see it: with links that lead somewhere."""


def standing_of(progress: Mapping[str, Any]) -> Standing:
    """How far a job is.

    Args:
        progress: as `engine.reporting.progress_document` shows it.
    """
    words = str(progress.get("title") or progress.get("node") or "at work")
    if (progress.get("steps") or 0) > 1:
        words += f", step {progress['step']} of {progress['steps']}"
    if progress.get("try"):
        words += f" (try {progress['try']})"
    return Standing(float(progress.get("fraction") or 0.0), words)


def waiting(position: int | None) -> Standing:
    """How far a job is that waits.

    Args:
        position: how many wait before it, where that is known.
    """
    return Standing(0.0, f"waits; {position} before it" if position else "waits")
