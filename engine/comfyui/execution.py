"""Queue one graph and wait for what becomes of it.

The truth is `/history`: it has the prompt once it has ended, whichever way. The websocket only tells when to
look, and how far it is. The deadline is the law: nothing that ComfyUI does or fails to do makes a job hang.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken
from engine.comfyui.client import ComfyClient, NoAnswer
from engine.comfyui.complaints import left_out
from engine.comfyui.events import FRAME, RECONNECTED, Event, EventStream, Subscription
from engine.comfyui.frames import Frames
from engine.comfyui.outcome import outcome
from engine.comfyui.progress import ProgressMeter
from engine.errors import ComfyUnavailable, ExecutionTimeout, GraphRejected
from engine.results import Execution, Progress

log = logging.getLogger(__name__)

_CANCEL_LOOK_SECONDS = 0.1
_ASK_SECONDS, _ASK_UNHEARD_SECONDS = 1.0, 0.25
_QUEUE_EVERY = 4  # of the asks, while the socket is up: /queue answers with whole graphs
_ASK_READ_TIMEOUT = 5.0
_CONFIRM_SECONDS = 0.25
_REST_SECONDS = 2.0


class Executor:
    """Runs graphs on one ComfyUI; any number of threads may use it at once.

    Args:
        client: to ask.
        events: to be told.
        patience_seconds: how long ComfyUI may be gone during an execution, as for a restart of a proxy.
        stop_seconds: how long to try to stop a prompt; a node that looks for no interrupt outlasts it.
    """

    def __init__(
        self,
        client: ComfyClient,
        events: EventStream,
        *,
        patience_seconds: float = 15.0,
        stop_seconds: float = 10.0,
    ) -> None:
        self.client = client
        self.events = events
        self.patience_seconds = patience_seconds
        self.stop_seconds = stop_seconds

    def execute(
        self,
        graph: Mapping[str, Any],
        *,
        prompt_id: str,
        cancel: CancellationToken,
        timeout_seconds: float,
        queue_timeout_seconds: float,
        on_progress: Callable[[Progress], None] | None = None,
        extra_data: Mapping[str, Any] | None = None,
        frames_folder: Path | None = None,
        needed_outputs: Collection[str] = (),
        previews: bool = False,
    ) -> Execution:
        """Run a graph to its end.

        Args:
            graph: in API format.
            prompt_id: a canonical lowercase UUID, new for each execution.
            cancel: set by whoever wants it stopped; heeded within about 0.1 s.
            timeout_seconds: for the execution, from its start in ComfyUI.
            queue_timeout_seconds: for the wait in ComfyUI's queue before that.
            on_progress: called from this thread with every change; what it raises stops the prompt.
            extra_data: goes with the prompt (`api_key_comfy_org`).
            frames_folder: where to put the pictures that nodes send over the websocket (SaveImageWebsocket); they are
                not kept without it.
            needed_outputs: ids of output nodes; if ComfyUI leaves one out, the prompt is stopped and refused.
            previews: whether progress has pictures of what samplers are at, where ComfyUI sends them.

        Returns:
            What the nodes reported.

        Raises:
            GraphRejected: ComfyUI took nothing of the graph, or left out an output that is needed.
            ExecutionFailed: a node raised.
            OutOfMemory: a node ran out of memory.
            ExecutionTimeout: one of the two bounds passed; the prompt was stopped.
            Cancelled: `cancel` was set, or someone interrupted the prompt in ComfyUI.
            ComfyUnavailable: it does not answer, or lost the prompt, as by a restart.
        """
        cancel.raise_if_cancelled()
        self.events.start()
        with self.events.subscribe(prompt_id) as subscription:
            frames = Frames(graph, frames_folder)
            meter = ProgressMeter(graph, on_progress, previews=previews)
            run = _Run(self, graph, prompt_id, subscription, meter, frames)
            try:
                # 0.8.0 heeds it; 0.3.64 sends previews only if it was started with --preview-method.
                run.queue({"preview_method": "auto", **(extra_data or {})} if previews else extra_data)
                if refused := left_out(run.node_errors, graph, needed_outputs):
                    run.stop()
                    raise refused
                entry = run.wait(cancel, timeout_seconds, queue_timeout_seconds)
            except (ComfyUnavailable, GraphRejected):
                raise  # there is nothing to stop, or no way to
            except BaseException:
                run.stop()
                raise
            execution = outcome(
                entry,
                graph=graph,
                prompt_id=prompt_id,
                node_errors=run.node_errors,
                elapsed_seconds=run.elapsed_seconds,
                queue_seconds=run.queue_seconds,
            )
            run.meter.finish()
            return replace(execution, frames=frames.found(), warnings=(*execution.warnings, *run.lost_frames()))


class _Run:
    """One prompt, from queueing to its end."""

    def __init__(
        self,
        executor: Executor,
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
        self._executor = executor
        self._client = executor.client
        self._graph = graph
        self._prompt_id = prompt_id
        self._subscription = subscription
        self._client_id: str | None = None
        self._queued_at = self._answered_at = time.monotonic()
        self._started_at: float | None = None
        self._unsure: NoAnswer | None = None
        self._gone = False
        self._asks = 0

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._queued_at

    @property
    def queue_seconds(self) -> float | None:
        return None if self._started_at is None else max(self._started_at - self._queued_at, 0.0)

    def queue(self, extra_data: Mapping[str, Any] | None) -> None:
        self._client_id = self._executor.events.client_id
        try:
            self.node_errors = self._client.queue_prompt(
                self._graph, self._prompt_id, self._client_id or str(uuid.uuid4()), extra_data
            )
        except NoAnswer as error:
            # It may have arrived. The id is ours, so that the queue and the history can tell.
            self._unsure = error
        self._queued_at = self._answered_at = time.monotonic()

    def wait(self, cancel: CancellationToken, timeout_seconds: float, queue_timeout_seconds: float) -> dict[str, Any]:
        """The history entry of the prompt, once it has ended."""
        ask_at = time.monotonic() + (0.0 if self._unsure else self._interval())
        while True:
            cancel.raise_if_cancelled()
            late = self._late(timeout_seconds, queue_timeout_seconds)
            if late or time.monotonic() >= ask_at:
                entry = self._ask(thoroughly=bool(late))
                if entry is not None:
                    self._hear_the_rest()
                    return entry
                if late := self._late(timeout_seconds, queue_timeout_seconds):
                    raise late
                ask_at = time.monotonic() + self._interval()
            event = self._subscription.next(min(_CANCEL_LOOK_SECONDS, ask_at - time.monotonic()))
            if event is not None and self._hear(event):
                ask_at = time.monotonic()

    def _hear_the_rest(self) -> None:
        """Take the pictures that came before the end and were not looked at yet: history was faster than the socket."""
        if not self._frames.awaited:
            return
        while not self._ended and self._executor.events.client_id == self._client_id is not None:
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

    def stop(self) -> None:
        """Take the prompt out of the queue or interrupt it, until it is gone.

        An interrupt right after the start is missed once in ten times, so it is repeated. Only a running
        prompt of ours is interrupted: versions that know no `prompt_id` there would stop any other.
        """
        end = time.monotonic() + self._executor.stop_seconds
        while time.monotonic() < end:
            try:
                if self._client.history(self._prompt_id, read_timeout=_ASK_READ_TIMEOUT) is not None:
                    return
                running, pending = self._client.queue(read_timeout=_ASK_READ_TIMEOUT)
                if self._prompt_id in running:
                    self._client.interrupt(self._prompt_id)
                elif self._prompt_id in pending:
                    self._client.delete_pending(self._prompt_id)
                    continue
                else:
                    return
            except ComfyUnavailable as error:
                log.warning("prompt %s could not be stopped yet: %s", self._prompt_id, error)
            self._wait_for_end(_CONFIRM_SECONDS)
        log.warning("prompt %s still runs in ComfyUI after being told to stop", self._prompt_id)

    def _wait_for_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            event = self._subscription.next(left)
            if event is not None and event.is_end:
                return

    def _interval(self) -> float:
        heard = self._client_id is not None and self._client_id == self._executor.events.client_id
        return _ASK_SECONDS if heard else _ASK_UNHEARD_SECONDS

    def _hear(self, event: Event) -> bool:
        """Take in an event; true if it is a reason to ask `/history` now."""
        if event.type == "execution_start":
            self._started()
        if event.type == FRAME:
            self._frames.take(event)
            self.meter.hear(event)
            return False
        self._ended = self._ended or event.is_end
        self._cut_off = self._cut_off or event.type == RECONNECTED
        self.meter.hear(event)
        return event.is_end or event.type == RECONNECTED

    def _started(self) -> None:
        if self._started_at is None:
            self._started_at = time.monotonic()

    def _late(self, timeout_seconds: float, queue_timeout_seconds: float) -> ExecutionTimeout | None:
        now = time.monotonic()
        if self._started_at is None:
            if now - self._queued_at < queue_timeout_seconds:
                return None
            return ExecutionTimeout(
                f"the job waited {queue_timeout_seconds:g} s in ComfyUI's queue and was not begun",
                hint="try again when there is less to do, or allow a longer wait in the queue",
            )
        if now - self._started_at < timeout_seconds:
            return None
        return ExecutionTimeout(
            f"the job did not finish within {timeout_seconds:g} s ({self.meter.where()})",
            hint="allow it more time, or ask for less: fewer steps, a smaller size",
        )

    def _ask(self, *, thoroughly: bool) -> dict[str, Any] | None:
        """Look for the end of the prompt; None while it waits or runs, or ComfyUI is away for a moment."""
        try:
            entry = self._client.history(self._prompt_id, read_timeout=_ASK_READ_TIMEOUT)
            unheard = self._interval() != _ASK_SECONDS
            if entry is None and (thoroughly or unheard or self._unsure or self._asks % _QUEUE_EVERY == 0):
                entry = self._look_in_queue()
            elif entry is not None:
                self._unsure = None
        except ComfyUnavailable as error:
            if isinstance(error, NoAnswer) and error.busy:
                return None  # it is there; the deadline bounds how long it may be silent
            if time.monotonic() - self._answered_at < self._executor.patience_seconds:
                return None
            raise ComfyUnavailable(
                f"ComfyUI stopped answering while it had the job ({self.meter.where()})",
                hint="see ComfyUI's log; the job can be sent again",
            ) from error
        self._asks += 1
        self._answered_at = time.monotonic()
        if entry is None and self._gone:
            raise self._unsure or ComfyUnavailable(
                "ComfyUI lost the job: it is neither in its queue nor in its history",
                hint="ComfyUI was restarted or its queue was cleared; the job can be sent again",
            )
        return entry

    def _look_in_queue(self) -> dict[str, Any] | None:
        running, pending = self._client.queue(read_timeout=_ASK_READ_TIMEOUT)
        if self._prompt_id in running:
            self._started()
        if self._prompt_id in running or self._prompt_id in pending:
            self._unsure = None
            return None
        # It may have ended between the two questions; ComfyUI moves it from one to the other in one step.
        entry = self._client.history(self._prompt_id, read_timeout=_ASK_READ_TIMEOUT)
        self._gone = entry is None
        return entry
