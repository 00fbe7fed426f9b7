"""Turns: those who want the same share one, those who want something else wait for it to end.

One that asks before its elders waits longer for them than ComfyUI's line: nothing but the parsing of their requests
keeps them, and a turn that is given in the wrong order would cost two more starts of ComfyUI.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from engine.cancellation import CancellationToken
from engine.order import Coming, coming_to_turns, next_order
from engine.row import Row

_T = TypeVar("_T")

_MOMENT_SECONDS = 1.0


class Turns(Generic[_T]):
    """Gives turns in the order of the jobs that ask for them; any number of threads may have the same at once.

    Args:
        begin: called with what is wanted when a turn begins; what it raises ends the turn, and goes to who asked.
        end: called when the last of a turn has left it. No other turn begins before it is done.
        moment_seconds: how long at most to wait for those before in the order that may still ask.
        expected: knows who may still ask.
    """

    def __init__(
        self,
        begin: Callable[[_T], None],
        end: Callable[[], None],
        *,
        moment_seconds: float = _MOMENT_SECONDS,
        expected: Coming = coming_to_turns,
    ) -> None:
        self._begin = begin
        self._end = end
        self._row = Row(expected, moment_seconds)
        self._inside: list[_T] = []

    @contextlib.contextmanager
    def hold(self, wanted: _T, cancel: CancellationToken, seconds: float, order: int | None = None) -> Iterator[None]:
        """Have the turn of what is wanted, within the block.

        Args:
            wanted: whoever wants an equal thing shares the turn.
            cancel: ends the waiting.
            seconds: how long to wait at most.
            order: see `engine.order`; left out, behind those that ask already.

        Raises:
            Cancelled: the job was cancelled while it waited.
            Late: the others took longer.
        """
        self._enter(wanted, cancel, seconds, next_order() if order is None else order)
        try:
            yield
        finally:
            with self._row.changed:
                self._inside.remove(wanted)
                try:
                    if not self._inside:
                        self._end()
                finally:
                    self._row.changed.notify_all()

    def _enter(self, wanted: _T, cancel: CancellationToken, seconds: float, order: int) -> None:
        def kept_back() -> bool:
            return bool(self._inside) and self._inside[0] != wanted

        def go_on() -> None:
            if not self._inside:
                self._begin(wanted)
            self._inside.append(wanted)

        # In order also where the present turn is the one that is wanted: else others might wait for ever.
        self._row.wait(order, cancel, seconds, kept_back=kept_back, go_on=go_on)
