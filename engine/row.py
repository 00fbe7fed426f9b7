"""Those who wait for something in the order of their jobs: what `turns` and the line before ComfyUI have in common.

Jobs that were taken together come within some milliseconds, in any order. So one that comes before its elders gives
them a moment, and no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.cancellation import CancellationToken
from engine.order import Coming

_LOOK_SECONDS = 0.1
"""Between two looks at whether one was cancelled, or is too late."""
_ELDERS_LOOK_SECONDS = 0.002
"""An elder may also be refused, or cancelled, which nobody tells the row."""


class Late(Exception):
    """It took too long until it was their turn."""


class Row:
    """Lets them go on one by one, the lowest in the order first among those that wait.

    Args:
        expected: knows who may still come.
        moment_seconds: how long one waits for those before it in the order that may still come. Whoever comes after one
            that went on does not wait for them again.

    Attributes:
        changed: to be held by who changes what they wait for, and notified after it.
    """

    def __init__(self, expected: Coming, moment_seconds: float) -> None:
        self._expected = expected
        self._moment_seconds = moment_seconds
        self.changed = threading.Condition()
        self._waiting: list[int] = []

    def __len__(self) -> int:
        """How many wait."""
        with self.changed:
            return len(self._waiting)

    def wait(
        self,
        order: int,
        cancel: CancellationToken,
        seconds: float,
        *,
        kept_back: Callable[[], bool],
        go_on: Callable[[], None],
    ) -> None:
        """Wait until one may go on.

        Args:
            order: see `engine.order`.
            cancel: ends the waiting.
            seconds: how long to wait at most.
            kept_back: asked, with `changed` held, of whoever is the first: whether they have to wait for a change.
            go_on: called then, still with `changed` held; what it raises is raised.

        Raises:
            Cancelled: the job was cancelled while it waited.
            Late: the others took longer.
        """
        begun = time.monotonic()
        deadline, elders_until = begun + seconds, begun + min(self._moment_seconds, seconds)

        def left_seconds() -> float:
            """Until the next look; 0 to go on."""
            if order != min(self._waiting) or kept_back():
                return _LOOK_SECONDS
            if not self._expected.any_before(order):
                return 0.0
            return min(max(elders_until - time.monotonic(), 0.0), _ELDERS_LOOK_SECONDS)

        with self.changed:
            self._waiting.append(order)
            try:
                while (look_seconds := left_seconds()) > 0:
                    cancel.raise_if_cancelled()
                    if time.monotonic() > deadline:
                        raise Late
                    self.changed.wait(look_seconds)
                self._expected.passed(order)
                go_on()
            finally:
                self._waiting.remove(order)
                self.changed.notify_all()
