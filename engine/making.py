"""What makes one result of a job: its graph is run on ComfyUI, and what came of it is brought here and described."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.comfy_contract import Comfy
from engine.comfyui import ResultGone
from engine.comfyui.complaints import UNKNOWN_CLASS
from engine.errors import ComfyUnavailable, ExecutionFailed, GraphRejected, OutOfMemory
from engine.graph import Graph
from engine.job_run import JobRun
from engine.live_nodes import LiveNodes
from engine.logs import event
from engine.media import describe, text_as_file
from engine.plans import Plan
from engine.readiness import Readiness
from engine.results import Execution, OutputFile, RawOutput
from engine.settings import Settings
from engine.tries import Tries

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_COLLECTIONS = 3
_LONG_TEXTS = 4
"""A text that takes more than this part of a reply becomes a file, which a bucket takes whatever its size."""


@dataclass(frozen=True, slots=True)
class Made:
    """One result of a job, not stored yet.

    Attributes:
        outputs: described; files may lie in ComfyUI's own folders.
        values: what it was made of, as results report them.
        execute_seconds: that ComfyUI took for it.
        warnings: what went wrong without failing it.
        folder: the job's own on this machine, for what is made of the files.
        space: the job's place in ComfyUI's folders; until it is closed, the files stay. Whoever has this closes it,
            with the exception that ended the job where there was one.
    """

    outputs: tuple[OutputFile, ...]
    values: dict[str, Any]
    execute_seconds: float
    warnings: tuple[str, ...]
    folder: Path
    space: contextlib.ExitStack = field(repr=False)


class Maker:
    """Makes results; one for a job.

    Args:
        comfy: gives the ComfyUI.
        live: what it has.
        readiness: gives what the workflows lack on it.
        settings: bounds of time and size.
        tries: counts how often ComfyUI was gone under the job.
    """

    def __init__(
        self,
        comfy: Callable[[], Comfy],
        live: LiveNodes,
        readiness: Callable[[], Readiness],
        settings: Settings,
        tries: Tries,
    ) -> None:
        self._comfy = comfy
        self._live = live
        self._readiness = readiness
        self._settings = settings
        self._tries = tries

    def make(self, run: JobRun) -> Made:
        """Make a result of the values that the plan has now.

        Raises:
            EngineError: of the class that says who must change something.
        """
        return self.persistently(run, lambda: self._once(run))

    def persistently(self, run: JobRun, step: Callable[[], _T]) -> _T:
        """Do what needs ComfyUI, again where it was gone meanwhile, as often as `tries` allows."""
        while True:
            try:
                return step()
            except (ComfyUnavailable, ResultGone) as error:
                self._tries.count(error)
                run.place_anew()
            run.job.timings.retries += 1
            self._comfy().suspect()
            try:
                self.wait_for_comfy(run)
            except ComfyUnavailable as error:
                raise self._tries.left_alone(error) from error

    def wait_for_comfy(self, run: JobRun) -> None:
        """Wait until ComfyUI answers; one that was not started yet is.

        Raises:
            ComfyUnavailable: it does not come.
        """
        comfy = self._comfy()
        if comfy.started:
            comfy.ready(run.cancel)  # a look at most
            return
        with run.job.timings.measure("start"):
            comfy.ready(run.cancel)

    def _once(self, run: JobRun) -> Made:
        job, plan, timings = run.job, run.plan, run.job.timings
        prompt_id = self._tries.prompt_id()
        folder = run.folder_for(prompt_id)
        with contextlib.ExitStack() as held:
            space = held.enter_context(self._comfy().workspace(job.id, prompt_id))
            with timings.measure("fetch"):
                names = run.placed(space)
            graph = space.isolated(plan.graph(names, job_id=job.id, previews=job.previews), anew=self._tries.anew)
            run.cancel.raise_if_cancelled()
            with timings.measure("execute"):
                execution = self._execute(run, graph, prompt_id, folder)
            space.ran(execution)
            run.executed_seconds += execution.execute_seconds
            run.queued_seconds += execution.queue_seconds
            timings.seconds |= {"queue": run.queued_seconds, "execute": run.executed_seconds}
            with timings.measure("store"):
                outputs, warnings = self._described(run, execution, folder)
            return Made(
                outputs=tuple(outputs),
                values=run.values,
                execute_seconds=execution.execute_seconds,
                warnings=(*execution.warnings, *warnings),
                folder=folder,
                space=held.pop_all(),
            )

    def _execute(self, run: JobRun, graph: Graph, prompt_id: str, folder: Path) -> Execution:
        job, plan = run.job, run.plan
        key = job.comfy_org_api_key or self._settings.comfy_org_api_key
        try:
            return self._comfy().execute(
                graph,
                prompt_id=prompt_id,
                cancel=run.cancel,
                timeout_seconds=run.left_seconds,
                queue_timeout_seconds=self._settings.queue_timeout_seconds,
                on_progress=run.tell,
                extra_data={"api_key_comfy_org": key} if key else None,
                frames_folder=folder / "frames",
                needed_outputs=plan.needed_outputs,
                previews=job.previews,
                floor=run.reached,
                order=job.order,
            )
        except (GraphRejected, OutOfMemory) as error:
            if isinstance(error, GraphRejected):
                self._look_again(plan, error)
            raise plan.in_the_callers_words(error) from error

    def _look_again(self, plan: Plan, error: GraphRejected) -> None:
        """Something may have gone since we looked, as a node pack with a restart of ComfyUI.

        Raises:
            WorkflowNotReady: what the job needs is missing now.
        """
        if any(each.type == UNKNOWN_CLASS for each in error.complaints):
            with contextlib.suppress(ComfyUnavailable):
                self._live.get(refresh=True)
        readiness = self._readiness()
        readiness.look_again()
        plan.check_ready(readiness)

    def _described(self, run: JobRun, execution: Execution, folder: Path) -> tuple[list[OutputFile], list[str]]:
        """What came of it, and what is missing of it."""
        found = self._collected(run, execution, folder)
        names = {raw.name for raw, _ in found}
        warnings = [
            f"the output {name} is empty: its node {node_id} gave nothing"
            for name, node_id, _ in run.plan.outputs
            if name not in names
        ]
        outputs = []
        for raw, path in found:
            run.cancel.raise_if_cancelled()
            described = describe(raw, _lasting(raw, path, folder) if run.may_go_on else path)
            if len(json.dumps(described.text or "")) > self._settings.response_limit_bytes // _LONG_TEXTS:
                described = text_as_file(described, folder)
            outputs.append(described)
        return outputs, warnings

    def _collected(self, run: JobRun, execution: Execution, folder: Path) -> list[tuple[RawOutput, Path | None]]:
        """What the nodes made. It is on ComfyUI's disk by now: one that stops only has to come back."""
        job, comfy = run.job, self._comfy()
        failures = 0
        while True:
            try:
                return comfy.collect(
                    execution,
                    run.plan.outputs,
                    folder,
                    originals=run.plan.originals,
                    previews=job.previews,
                    cancel=run.cancel,
                )
            except ComfyUnavailable as error:
                failures += 1
                if failures == _COLLECTIONS:
                    raise
                event(log, logging.WARNING, "the results could not be fetched yet", job_id=job.id, reason=error.message)
            comfy.suspect()
            self.wait_for_comfy(run)


def _lasting(raw: RawOutput, path: Path | None, folder: Path) -> Path | None:
    """A file that outlives ComfyUI: one that starts empties its temp folder (ComfyUI 0.8.0, main.py)."""
    if path is None or raw.type != "temp" or path.is_relative_to(folder):
        return path
    kept = folder / f"{raw.node_id.replace('/', '_')}-{raw.index:03d}{path.suffix}"
    try:
        shutil.copyfile(path, kept)
    except OSError as error:
        raise ExecutionFailed(
            f"ComfyUI reported the file {raw.filename}, but it can't be read", detail=str(error)
        ) from error
    return kept
