"""The events of one prompt, waiting to be looked at: in order, and never more than a bound."""

from __future__ import annotations

import itertools
import threading
import time

from engine.comfyui.messages import FRAME, RECONNECTED, Event

_MOST_EVENTS = 2000
_MOST_PICTURE_BYTES = 256 * 1024 * 1024


class Subscription:
    """The events of one prompt, in order.

    Of what only says how far a node is, the latest is kept until it is looked at. A prompt whose events come faster
    than they are looked at for long loses those that wait, and is told with `RECONNECTED` to ask `/history`.

    Attributes:
        ended: whether the end marker was the last that came.
    """

    def __init__(self) -> None:
        self.ended = False
        self._changed = threading.Condition()
        self._serials = itertools.count()
        self._waiting: dict[int, Event] = {}
        self._replaceable: dict[tuple[str, str], int] = {}
        self._picture_bytes = 0

    def __len__(self) -> int:
        """How many events wait."""
        with self._changed:
            return len(self._waiting)

    def put(self, event: Event) -> None:
        """Hand an event to whoever waits."""
        with self._changed:
            if event.type != RECONNECTED:
                self.ended = event.is_end  # what comes after an end marker shows that it was none
            serial = next(self._serials)
            if event.type in {"progress", "progress_state"}:
                key = event.type, str(event.data.get("node"))
                self._waiting.pop(self._replaceable.get(key, -1), None)
                self._replaceable[key] = serial
            else:
                self._replaceable.clear()  # what is newer than this event does not take the place of what is older
            self._waiting[serial] = event
            self._picture_bytes += _picture_bytes(event)
            if len(self._waiting) > _MOST_EVENTS or self._picture_bytes > _MOST_PICTURE_BYTES:
                self._overflow()
            self._changed.notify()

    def next(self, seconds: float) -> Event | None:
        """The next event; None if none comes within that time."""
        until = time.monotonic() + max(seconds, 0.001)
        with self._changed:
            while not self._waiting:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            if not self._waiting:
                return None
            serial = next(iter(self._waiting))
            event = self._waiting.pop(serial)
            self._picture_bytes -= _picture_bytes(event)
            return event

    def _overflow(self) -> None:
        kept = [event for event in self._waiting.values() if event.type == "execution_start"][:1]
        self._waiting = {next(self._serials): event for event in (*kept, Event(RECONNECTED))}
        self._replaceable.clear()
        self._picture_bytes = 0


def _picture_bytes(event: Event) -> int:
    return len(event.data["picture"]) if event.type == FRAME else 0
