"""Queue one graph and wait for what becomes of it.

The truth is `/history`: it has the prompt once it has ended, whichever way. The websocket only tells when to
look, and how far it is. The deadline is the law: nothing that ComfyUI does or fails to do makes a job hang.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken
from engine.comfyui.complaints import gpu_is_unfit, left_out, process_is_broken
from engine.comfyui.contact import Allowed, Contact
from engine.comfyui.frames import Frames
from engine.comfyui.line import Line, Place
from engine.comfyui.outcome import outcome
from engine.comfyui.progress import ProgressMeter
from engine.comfyui.prompt_run import SEND_AGAIN, PromptRun, not_begun
from engine.comfyui.watch import ComfyStopped
from engine.errors import ComfyError, ComfyUnavailable, GraphRejected
from engine.order import next_order
from engine.results import Execution, Progress
from engine.row import Late

_LEFT_SECONDS = 5.0


class Executor:
    """Runs graphs on one ComfyUI; any number of threads may use it at once.

    Args:
        contact: to it.
    """

    def __init__(self, contact: Contact) -> None:
        self._contact = contact
        self._line = Line()
        self._left: list[PromptRun] = []  # nobody could be asked to stop them

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
        floor: float = 0.0,
        order: int | None = None,
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
            floor: the fraction that progress begins with, where this is not the first try.
            order: its place among those that wait to be queued; left out, behind them.

        Returns:
            What the nodes reported.

        Raises:
            GraphRejected: ComfyUI took nothing of the graph, or left out an output that is needed.
            ExecutionFailed: a node raised.
            OutOfMemory: a node ran out of memory.
            ExecutionTimeout: one of the two bounds passed, or it made no progress for too long; the prompt was stopped.
            Cancelled: `cancel` was set, or someone interrupted the prompt in ComfyUI.
            ComfyStopped: ComfyUI ended, hung, or lost the prompt, as by a restart.
            ComfyUnavailable: it does not answer.
        """
        cancel.raise_if_cancelled()
        try:
            with self._place(next_order() if order is None else order, cancel, queue_timeout_seconds) as (
                place,
                waited,
            ):
                execution = self._execute(
                    graph,
                    prompt_id,
                    cancel,
                    Allowed(timeout_seconds, queue_timeout_seconds, waited),
                    ProgressMeter(graph, on_progress, floor=floor, previews=previews),
                    # 0.8.0 heeds it; 0.3.64 sends previews only if it was started with --preview-method.
                    {"preview_method": "auto", **(extra_data or {})} if previews else extra_data,
                    frames_folder,
                    needed_outputs,
                    place,
                )
        except Late:
            raise not_begun(queue_timeout_seconds) from None
        return replace(execution, queue_seconds=execution.queue_seconds + waited)

    @contextlib.contextmanager
    def _place(
        self, order: int, cancel: CancellationToken, queue_timeout_seconds: float
    ) -> Iterator[tuple[Place, float]]:
        """A place past the line to a ComfyUI that runs, and how many seconds it took to get it.

        One that ended while others had it is waited for outside of the line: those others come again, and they were
        before. Nothing was asked of it for this job, to which that is no try.
        """
        begun = time.monotonic()
        while True:
            with self._line.place(order, cancel, queue_timeout_seconds - (time.monotonic() - begun)) as place:
                if self._contact.watch.started:
                    yield place, time.monotonic() - begun
                    return
            self._contact.watch.wait_until_up(cancel)

    def _execute(
        self,
        graph: Mapping[str, Any],
        prompt_id: str,
        cancel: CancellationToken,
        allowed: Allowed,
        meter: ProgressMeter,
        extra_data: Mapping[str, Any] | None,
        frames_folder: Path | None,
        needed_outputs: Collection[str],
        place: Place,
    ) -> Execution:
        self._stop_what_was_left()
        self._contact.events.start()
        with self._contact.events.subscribe(prompt_id) as subscription:
            frames = Frames(graph, frames_folder)
            run = PromptRun(self._contact, graph, prompt_id, subscription, meter, frames)
            try:
                run.queue(extra_data, cancel)
            except (ComfyUnavailable, GraphRejected):
                raise  # it was not queued
            except BaseException as error:
                _stop(run, prompt_id, error)
                raise
            try:
                if refused := left_out(run.node_errors, graph, needed_outputs):
                    raise refused
                entry = run.wait(cancel, allowed, place.leave)
            except ComfyUnavailable:
                self._left.append(run)
                raise
            except BaseException as error:
                _stop(run, prompt_id, error)
                raise
            try:
                execution = outcome(
                    entry,
                    graph=graph,
                    prompt_id=prompt_id,
                    node_errors=run.node_errors,
                    elapsed_seconds=run.elapsed_seconds,
                    queue_seconds=run.queue_seconds,
                )
            except ComfyError as error:
                self._restart_if_broken(run, error)
                raise
            self._contact.watch.went_well()
            run.meter.finish()
            return replace(execution, frames=frames.found(), warnings=(*execution.warnings, *run.lost_frames()))

    def _stop_what_was_left(self) -> None:
        """Stop the prompts of a ComfyUI that was out of reach and may have gone on: their jobs run anew, or failed."""
        while self._left:
            try:
                run = self._left.pop()
            except IndexError:  # another job was faster
                return
            run.stop(_LEFT_SECONDS)

    def _restart_if_broken(self, run: PromptRun, error: ComfyError) -> None:
        """See whether an error of a node's is one of ComfyUI's process, in which every later job would fail as well.

        Raises:
            ComfyStopped: it was, and the process is being started anew.
        """
        if gpu_is_unfit(error):
            self._contact.watch.give_up(error.message)
        elif process_is_broken(error):
            if run.restart(error.message):
                raise ComfyStopped(error.message, hint=SEND_AGAIN, detail=error.detail) from error
        else:
            self._contact.watch.went_well()


def _stop(run: PromptRun, prompt_id: str, error: BaseException) -> None:
    if not run.stop():
        run.restart(f"it does not heed the interrupt of prompt {prompt_id} ({type(error).__name__})")
