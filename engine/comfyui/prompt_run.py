"""One prompt in ComfyUI, from queueing to its end."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from engine.cancellation import CancellationToken, unless_cancelled
from engine.comfyui.connection import NoAnswer
from engine.comfyui.contact import Allowed, Contact
from engine.comfyui.events import FRAME, RECONNECTED, Event, Subscription
from engine.comfyui.frames import Frames
from engine.comfyui.progress import ProgressMeter
from engine.comfyui.watch import ComfyStopped, Crash
from engine.errors import Cancelled, ComfyUnavailable, ExecutionTimeout

log = logging.getLogger(__name__)

_CANCEL_LOOK_SECONDS = 0.1
_ASK_SECONDS, _ASK_UNHEARD_SECONDS = 1.0, 0.25
_QUEUE_EVERY = 4  # of the asks, while the socket is up: /queue answers with whole graphs
_ASK_READ_TIMEOUT, _LEAST_READ_TIMEOUT = 5.0, 0.25
_CONFIRM_SECONDS = 0.25
_LAST_WORDS_SECONDS = 0.1
_REST_SECONDS = 2.0
_UNSURE_SECONDS = 5.0
SEND_AGAIN = "see ComfyUI's log; the job can be sent again"


def not_begun(seconds: float) -> ExecutionTimeout:
    """What a job ends with that waited too long for those before it."""
    return ExecutionTimeout(
        f"the job waited {seconds:g} s in ComfyUI's queue and was not begun",
        hint="try again when there is less to do, or allow a longer wait in the queue",
    )


class PromptRun:
    """One prompt, from queueing to its end.

    Args:
        contact: to its ComfyUI.
        graph: in API format.
        prompt_id: chosen by us.
        subscription: to its events.
        meter: is told of them.
        frames: keeps the pictures among them.

    Attributes:
        node_errors: what ComfyUI had against single nodes when it took the graph.
        meter: how far it is.
    """

    def __init__(
        self,
        contact: Contact,
        graph: Mapping[str, Any],
        prompt_id: str,
        subscription: Subscription,
        meter: ProgressMeter,
        frames: Frames,
    ) -> None:
        self.node_errors: dict[str, Any] = {}
        self.meter = meter
        self._frames = frames
        self._ended = self._cut_off = False
        self._client, self._events = contact.client, contact.events
        self._watch, self._bounds = contact.watch, contact.bounds
        self._graph = graph
        self._prompt_id = prompt_id
        self._subscription = subscription
        self._client_id: str | None = None
        self._heard_of = False
        self._generation = self._watch.generation
        self._queued_at = self._answered_at = self._moved_at = time.monotonic()
        self._started_at: float | None = None
        self._unsure: NoAnswer | None = None
        self._may_come_until = math.inf
        self._gone = self._failed = False
        self._asks = 0
        self._last: Event | None = None

    @property
    def elapsed_seconds(self) -> float:
        """Since it was queued."""
        return time.monotonic() - self._queued_at

    @property
    def queue_seconds(self) -> float | None:
        """From queueing to its start; None where that went unheard."""
        return None if self._started_at is None else max(self._started_at - self._queued_at, 0.0)

    def queue(self, extra_data: Mapping[str, Any] | None, cancel: CancellationToken) -> None:
        """Hand it to ComfyUI.

        Raises:
            Cancelled: the job was cancelled; the prompt may have been queued.
            GraphRejected: ComfyUI runs nothing of it.
            ComfyUnavailable: nobody answers.
        """
        self._generation = self._watch.generation
        self._client_id = self._events.client_id
        self._heard_of = self._client_id is not None
        client_id = self._client_id or str(uuid.uuid4())
        try:
            self.node_errors = unless_cancelled(lambda: self._post(client_id, extra_data), cancel)
        except NoAnswer as error:
            # It may have arrived. The id is ours, so that the queue and the history can tell.
            self._unsure = error
        except Cancelled:
            self._unsure = NoAnswer("the job was cancelled while it was being queued")
            raise
        finally:
            self._queued_at = self._answered_at = self._moved_at = time.monotonic()

    def _post(self, client_id: str, extra_data: Mapping[str, Any] | None) -> dict[str, Any]:
        may_come_until = 0.0
        try:
            return self._client.queue_prompt(self._graph, self._prompt_id, client_id, extra_data)
        except NoAnswer:
            may_come_until = time.monotonic() + _UNSURE_SECONDS
            raise
        finally:
            self._may_come_until = may_come_until

    def wait(
        self, cancel: CancellationToken, allowed: Allowed, on_end: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """The history entry of the prompt, once it has ended.

        Args:
            cancel: ends the waiting.
            allowed: how long it may take.
            on_end: called as soon as the socket says that it ended, before the history is asked.
        """
        ask_at = time.monotonic() + (0.0 if self._unsure else self._interval())
        while True:
            cancel.raise_if_cancelled()
            if crash := self._watch.crash_of(self._generation):
                raise self._stopped(crash)
            late = self._late(allowed)
            if late or time.monotonic() >= ask_at:
                entry = self._ask(thoroughly=bool(late))
                if entry is not None:
                    self._hear_the_rest()
                    return entry
                if late := self._late(allowed):
                    raise late
                ask_at = time.monotonic() + self._interval()
            event = self._subscription.next(min(_CANCEL_LOOK_SECONDS, ask_at - time.monotonic()))
            if event is not None and self._hear(event):
                if self._ended:
                    on_end()
                ask_at = time.monotonic()

    def _hear_the_rest(self) -> None:
        """Take the pictures that came before the end and were not looked at yet: history was faster than the socket."""
        if not self._frames.awaited:
            return
        while not self._ended and self._events.client_id == self._client_id is not None:
            event = self._subscription.next(_REST_SECONDS)  # after each picture anew: a long way takes its time
            if event is None:
                break
            self._hear(event)

    def lost_frames(self) -> list[str]:
        """What may be missing of the pictures that nodes sent over the websocket."""
        if not self._frames.awaited or (self._ended and not self._cut_off and not self._frames.missing()):
            return []
        return [
            "pictures that were sent over the websocket (SaveImageWebsocket) may be missing: the connection to ComfyUI "
            "broke or was too slow; SaveImage loses none"
        ]

    def restart(self, why: str) -> bool:
        """Have the ComfyUI that it was queued in restarted; false where it is not ours to restart."""
        return self._watch.restart(why, self._generation)

    def stop(self, seconds: float | None = None) -> bool:
        """Take the prompt out of the queue or interrupt it, until it is gone; false if it still is there.

        An interrupt right after the start is missed once in ten times, so it is repeated. Only a running
        prompt of ours is interrupted: versions that know no `prompt_id` there would stop any other.

        Args:
            seconds: how long to try; the bound for it, if left out.
        """
        end = time.monotonic() + (self._bounds.stop if seconds is None else seconds)
        trouble = ""
        while (left := end - time.monotonic()) > 0:
            timeout = min(max(left, _LEAST_READ_TIMEOUT), _ASK_READ_TIMEOUT)
            if self._watch.crash_of(self._generation):
                return True
            may_still_come = self._may_still_come()  # before it is looked for: it may arrive in between
            try:
                if self._client.history(self._prompt_id, read_timeout=timeout) is not None:
                    return True
                running, pending = self._client.queue(read_timeout=timeout)
                if self._prompt_id in running:
                    self._client.interrupt(self._prompt_id, read_timeout=timeout)
                elif self._prompt_id in pending:
                    self._client.delete_pending(self._prompt_id, read_timeout=timeout)
                    continue
                elif not may_still_come:
                    return True
            except ComfyUnavailable as error:
                if trouble != (trouble := error.message):  # each kind once
                    log.warning("prompt %s could not be stopped yet: %s", self._prompt_id, error)
            self._wait_for_end(_CONFIRM_SECONDS)
        log.warning("prompt %s still runs in ComfyUI after being told to stop", self._prompt_id)
        return False

    def _wait_for_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            event = self._subscription.next(left)
            if event is not None and event.is_end:
                return

    def _interval(self) -> float:
        return _ASK_SECONDS if self._heard() and not self._failed else _ASK_UNHEARD_SECONDS

    def _hear(self, event: Event) -> bool:
        """Take in an event; true if it is a reason to ask `/history` now."""
        if event.type == RECONNECTED:
            self._cut_off = True
            return True
        self._moved_at = time.monotonic()
        self._ended = event.is_end  # what comes after it shows that it was none
        if not event.is_end:
            self._started()  # whatever it is: the message of the start may have been lost
        repeated, self._last = event == self._last, event
        if event.type == FRAME and repeated:
            return False  # between two pictures of a node it tells of its progress
        self._frames.take(event)
        self.meter.hear(event)
        return event.is_end

    def _started(self) -> None:
        if self._started_at is None:
            self._started_at = self._moved_at = time.monotonic()

    def _heard(self) -> bool:
        """Whether the socket tells of this prompt: ComfyUI tells the client that queued it, and no later one."""
        return self._client_id is not None and self._client_id == self._events.client_id

    def _may_have_begun(self) -> bool:
        # Of one that was not heard of nobody knows; it is taken for a culprit, lest it stops ComfyUI again and again.
        return self._started_at is not None or not self._heard_of

    def _stopped(self, crash: Crash | None, cause: str = "ComfyUI stopped") -> ComfyStopped:
        # What it said before it ended may still be on its way, and tells where it stood.
        while crash is not None and (event := self._subscription.next(_LAST_WORDS_SECONDS)) is not None:
            self._hear(event)
        began = self._may_have_begun()
        if crash is not None and crash.out_of_memory:
            cause = "ComfyUI was killed because the memory ran out"
        where = "while it had the job" if began else "before it began the job"
        if self.meter.latest.node_id:
            where = f"while running {self.meter.where()}"
        return ComfyStopped(f"{cause} {where}", began=began, crash=crash, hint=SEND_AGAIN)

    def _late(self, allowed: Allowed) -> ExecutionTimeout | None:
        now = time.monotonic()
        if self._started_at is None:
            if allowed.waited_seconds + now - self._queued_at < allowed.queue_seconds:
                return None
            return not_begun(allowed.queue_seconds)
        if now - self._started_at >= allowed.seconds:
            return ExecutionTimeout(
                f"the job did not finish within {round(allowed.seconds, 2):g} s ({self.meter.where()})",
                hint="allow it more time, or ask for less: fewer steps, a smaller size",
            )
        stall = self._bounds.stall
        # A socket that told nothing at all of it may stand and be deaf, as behind a proxy that answers the pings.
        if stall is not None and self._heard() and self._last is not None and now - self._moved_at >= stall:
            return ExecutionTimeout(
                f"the job made no progress for {stall:g} s ({self.meter.where()})",
                hint="send it again; if the node is only slow, the operator allows it more with STALL_SECONDS",
            )
        return None

    def _ask(self, *, thoroughly: bool) -> dict[str, Any] | None:
        """Look for the end of the prompt; None while it waits or runs, or ComfyUI is away for a moment."""
        try:
            entry = self._client.history(self._prompt_id, read_timeout=self._read_timeout())
            if entry is None and (thoroughly or not self._heard() or self._unsure or self._asks % _QUEUE_EVERY == 0):
                entry = self._look_in_queue()
            elif entry is not None:
                self._unsure = None
        except ComfyUnavailable as error:
            self._failed = True
            self._no_answer(error)
            return None
        self._asks += 1
        self._failed = False
        self._answered_at = time.monotonic()
        if entry is None:
            self._ended = False  # history has it before the end is told
        if entry is None and self._gone and not self._may_still_come():
            if self._unsure:
                raise self._unsure
            raise ComfyStopped(
                "ComfyUI lost the job: it is neither in its queue nor in its history",
                began=self._may_have_begun(),
                hint="ComfyUI was restarted or its queue was cleared; the job can be sent again",
            )
        return entry

    def _no_answer(self, error: ComfyUnavailable) -> None:
        """Bear it for a while.

        Raises:
            ComfyStopped: it has been too long.
        """
        bounds = self._bounds
        if isinstance(error, NoAnswer) and error.busy:
            # It is there. Loading a large model can keep it from answering; then the socket may still tell.
            if self._unsure:
                self._may_come_until = time.monotonic() + _UNSURE_SECONDS
            if time.monotonic() - max(self._answered_at, self._moved_at) < bounds.silent:
                return
            self.restart(f"it answered nothing for {bounds.silent:g} s")
        elif time.monotonic() - self._answered_at < bounds.patience:
            return
        raise self._stopped(None, "ComfyUI stopped answering") from error

    def _may_still_come(self) -> bool:
        """Whether the prompt was sent to a ComfyUI that was too busy to answer, and may not have read it yet."""
        return self._unsure is not None and time.monotonic() < self._may_come_until

    def _read_timeout(self) -> float:
        """For one question: no longer than until its silence has lasted too long."""
        left = max(self._answered_at, self._moved_at) + self._bounds.silent - time.monotonic()
        return min(max(left, _LEAST_READ_TIMEOUT), _ASK_READ_TIMEOUT)

    def _look_in_queue(self) -> dict[str, Any] | None:
        self._gone = False
        running, pending = self._client.queue(read_timeout=self._read_timeout())
        if self._prompt_id in running:
            self._started()
        if self._prompt_id in running or self._prompt_id in pending:
            self._unsure = None
            return None
        # It may have ended between the two questions; ComfyUI moves it from one to the other in one step.
        entry = self._client.history(self._prompt_id, read_timeout=self._read_timeout())
        self._gone = entry is None
        return entry
