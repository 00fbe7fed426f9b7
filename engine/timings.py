"""How long the steps of a job took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.intake import Ran

_WAITING = ("queue", "start")
"""For the jobs before it, and for ComfyUI to start."""


@dataclass(slots=True)
class Timings:
    """Seconds that the steps of a job took, by name.

    Attributes:
        seconds: of each step.
        retries: how often ComfyUI had to run the job again.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    retries: int = 0
    _start: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what runs inside; a step that comes in two parts is their sum."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def ran(self) -> Ran | None:
        """What the job took of ComfyUI's time and besides; None where it was not executed."""
        executed = self.seconds.get("execute")
        if executed is None:
            return None
        waited = sum(self.seconds.get(name, 0.0) for name in _WAITING)
        besides = max(time.monotonic() - self._start - executed - waited, 0.0)
        return Ran(executed, None if self.retries else besides)

    def total(self) -> dict[str, float]:
        """All of them, with the total since the beginning."""
        return {**self.seconds, "total": time.monotonic() - self._start}
