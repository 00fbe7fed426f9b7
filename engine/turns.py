"""Turns: those who want the same share one, those who want something else wait for it to end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from engine.cancellation import CancellationToken

_T = TypeVar("_T")

_LOOK_SECONDS = 0.1


class Late(Exception):
    """The turn did not come in time."""


class Turns(Generic[_T]):
    """Gives turns in the order in which they are asked for; any number of threads may have the same at once.

    Args:
        begin: called with what is wanted when a turn begins; what it raises ends the turn, and goes to who asked.
        end: called when the last of a turn has left it. No other turn begins before it is done.
    """

    def __init__(self, begin: Callable[[_T], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._inside: list[_T] = []

    @contextlib.contextmanager
    def hold(self, wanted: _T, cancel: CancellationToken, seconds: float) -> Iterator[None]:
        """Have the turn of what is wanted, within the block.

        Args:
            wanted: whoever wants an equal thing shares the turn.
            cancel: ends the waiting.
            seconds: how long to wait at most.

        Raises:
            Cancelled: the job was cancelled while it waited.
            Late: the others took longer.
        """
        self._enter(wanted, cancel, seconds)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(wanted)
                try:
                    if not self._inside:
                        self._end()
                finally:
                    self._changed.notify_all()

    def _enter(self, wanted: _T, cancel: CancellationToken, seconds: float) -> None:
        ticket = object()
        deadline = time.monotonic() + seconds
        with self._changed:
            self._waiting.append(ticket)
            try:
                # In order also where the present turn is the one that is wanted: else others might wait for ever.
                while self._waiting[0] is not ticket or (self._inside and self._inside[0] != wanted):
                    cancel.raise_if_cancelled()
                    if time.monotonic() > deadline:
                        raise Late
                    self._changed.wait(_LOOK_SECONDS)
                if not self._inside:
                    self._begin(wanted)
                self._inside.append(wanted)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
