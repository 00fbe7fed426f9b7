"""The order in which the jobs of this process were taken, and which of them may still come to ComfyUI."""

import contextlib
import itertools
import threading
from collections.abc import Iterator

_numbers = itertools.count(1)


def next_order() -> int:
    """A job's place in it: each call gives a higher one, in whichever thread."""
    return next(_numbers)


class Coming:
    """The jobs that were taken together with others, and did not come to the line before ComfyUI yet.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: set[int] = set()

    @contextlib.contextmanager
    def job(self) -> Iterator[int]:
        """Gives a job that is taken its place in the order; it is over, come or not, when the block ends."""
        order = next_order()
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
        """It goes to ComfyUI: nobody waits for it any more, nor for those before it, which had their time."""
        with self._lock:
            self._orders = {each for each in self._orders if each > order}


coming = Coming()
"""Those of this process."""
