"""The order in which the jobs of this process were taken, and which of them have not passed where it counts."""

import contextlib
import itertools
import threading
from collections.abc import Iterator

_numbers = itertools.count(1)


def next_order() -> int:
    """A job's place in it: each call gives a higher one, in whichever thread."""
    return next(_numbers)


class Coming:
    """The jobs that were taken together with others, and did not pass a place yet where jobs go on in their order.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: set[int] = set()

    @contextlib.contextmanager
    def job(self, order: int | None = None) -> Iterator[int]:
        """Expect a job that is taken; it is over, come or not, when the block ends.

        Args:
            order: its place in the order; left out, it is given the next.
        """
        order = next_order() if order is None else order
        with self._lock:
            self._orders.add(order)
        try:
            yield order
        finally:
            with self._lock:
                self._orders.discard(order)

    def any_before(self, order: int) -> bool:
        """Whether one that is before it in the order may still come."""
        with self._lock:
            return any(each < order for each in self._orders)

    def passed(self, order: int) -> None:
        """It goes on: nobody waits for it any more, nor for those before it, which had their time."""
        with self._lock:
            self._orders = {each for each in self._orders if each > order}


coming_to_turns = Coming()
"""Those of this process that have not had their turn (see `engine.turns`)."""

coming = Coming()
"""Those of this process that have not passed the line before ComfyUI (see `engine.comfyui.line`)."""


@contextlib.contextmanager
def taken() -> Iterator[int]:
    """Expect a job at both places, until the block ends; gives its place in the order."""
    with coming.job() as order, coming_to_turns.job(order):
        yield order
