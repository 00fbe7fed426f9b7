"""The line before ComfyUI's queue: of several jobs that are ready, the one that was taken first goes first.

ComfyUI runs one prompt at a time. It is to find the next in its queue when one ends, and no more: what waits there
can't be put in order any more, and is asked about with every look into the queue.

The moment that one gives its elders is short: their inputs may take long, and the GPU does not wait for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from engine.cancellation import CancellationToken
from engine.order import Coming, coming
from engine.row import Row

_MOMENT_SECONDS = 0.02


class Place:
    """A place past the line, which is given up once."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up: Callable[[], None] | None = give_up

    def leave(self) -> None:
        """Let the next one pass. Only who has the place calls it, as often as they like."""
        give_up, self._give_up = self._give_up, None
        if give_up is not None:
            give_up()


class Line:
    """Lets so many at a time pass, the lowest in the order first among those that wait.

    Args:
        room: how many may be past it at once.
        moment_seconds: how long one waits for those before it in the order that may still come; see `engine.row`.
        expected: knows who may still come.
    """

    def __init__(self, room: int = 2, moment_seconds: float = _MOMENT_SECONDS, expected: Coming = coming) -> None:
        self._room = room
        self._row = Row(expected, moment_seconds)
        self._past = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._row)

    @contextlib.contextmanager
    def place(self, order: int, cancel: CancellationToken, seconds: float) -> Iterator[Place]:
        """Be past it, within the block, or until the place is left.

        Args:
            order: see `engine.order`; who is not ready, and so does not wait here, keeps nobody back for long.
            cancel: ends the waiting.
            seconds: how long to wait at most.

        Raises:
            Cancelled: the job was cancelled while it waited.
            Late: the others took longer.
        """
        self._enter(order, cancel, seconds)
        place = Place(self._leave)
        try:
            yield place
        finally:
            place.leave()

    def _leave(self) -> None:
        with self._row.changed:
            self._past -= 1
            self._row.changed.notify_all()

    def _enter(self, order: int, cancel: CancellationToken, seconds: float) -> None:
        def kept_back() -> bool:
            return self._past >= self._room

        def go_on() -> None:
            self._past += 1

        self._row.wait(order, cancel, seconds, kept_back=kept_back, go_on=go_on)
