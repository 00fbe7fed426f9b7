"""Those who wait for something in the order of their jobs: what `turns` and the line before ComfyUI have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.cancellation import CancellationToken

LOOK_SECONDS = 0.1
"""Between two looks at whether one was cancelled, or is too late."""


class Late(Exception):
    """It took too long until it was their turn."""


class Row:
    """Lets them go on one by one, the lowest in the order first among those that wait.

    Attributes:
        changed: to be held by who changes what they wait for, and notified after it.
    """

    def __init__(self) -> None:
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
        kept_back: Callable[[], float],
        go_on: Callable[[], None],
    ) -> None:
        """Wait until one may go on.

        Args:
            order: see `engine.order`.
            cancel: ends the waiting.
            seconds: how long to wait at most.
            kept_back: asked, with `changed` held, of whoever is the first: in how many seconds to ask again at the
                latest; 0 lets them go on.
            go_on: called then, still with `changed` held; what it raises is raised.

        Raises:
            Cancelled: the job was cancelled while it waited.
            Late: the others took longer.
        """
        deadline = time.monotonic() + seconds
        with self.changed:
            self._waiting.append(order)
            try:
                while (look_seconds := kept_back() if order == min(self._waiting) else LOOK_SECONDS) > 0:
                    cancel.raise_if_cancelled()
                    if time.monotonic() > deadline:
                        raise Late
                    self.changed.wait(look_seconds)
                go_on()
            finally:
                self._waiting.remove(order)
                self.changed.notify_all()
