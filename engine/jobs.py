"""Run one job, from a payload to stored results."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.delivery import Delivery, Naming
from engine.errors import ComfyUnavailable, GraphRejected, InvalidPayload, Problem
from engine.graph import Graph
from engine.media import MediaReader, Wanted, describe
from engine.nodes import NodeCatalogue
from engine.results import Execution, InputFile, JobResult, OutputFile, OutputKind, Progress, RawOutput
from engine.settings import Settings
from engine.storage import Storage
from engine.workflow import Workflow

log = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]


class Comfy(Protocol):
    """What a job needs of a ComfyUI; `engine.comfyui.ComfyUI` is one."""

    def node_catalogue(self) -> NodeCatalogue:
        """Read the node classes, with the files they can use, from the running ComfyUI."""

    def upload(self, path: Path, *, filename: str, subfolder: str) -> str:
        """Put a file into its input folder; gives the name a graph calls it by."""

    def execute(
        self,
        graph: Graph,
        *,
        prompt_id: str,
        cancel: CancellationToken,
        timeout_seconds: float,
        queue_timeout_seconds: float,
        on_progress: OnProgress | None = None,
    ) -> Execution:
        """Queue a graph and wait for its end."""

    def collect(
        self, execution: Execution, declared: Sequence[tuple[str, str, OutputKind | None]], folder: Path
    ) -> list[tuple[RawOutput, Path | None]]:
        """Fetch what the declared outputs made into a folder."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Attributes:
        id: names its files; a caller's or the platform's.
        workflow: the name.
        payload: as it was sent.
        prompt_id: ComfyUI's id for it, a UUID.
        timeout_seconds: what the caller allows, below what the workflow and the operator do.
        allow_files: media values may name files of this machine; for the command line alone.
    """

    id: str
    workflow: str
    payload: Any
    prompt_id: str
    timeout_seconds: float | None = None
    allow_files: bool = False


@dataclass(slots=True)
class Timings:
    """Seconds that the steps of a job took, by name."""

    seconds: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what runs inside."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - start

    def total(self) -> dict[str, float]:
        """All of them, with the total since the beginning."""
        return {**self.seconds, "total": time.monotonic() - self._start}


class Runner:
    """Runs jobs; one per process, used from several threads.

    Args:
        catalog: the workflows.
        comfy: the ComfyUI, started when first needed.
        storage: where results go.
        settings: bounds of time and size.
    """

    def __init__(self, catalog: Catalog, comfy: Callable[[], Comfy], storage: Storage, settings: Settings) -> None:
        self.catalog = catalog
        self._comfy = comfy
        self._storage = storage
        self._settings = settings
        self._media = MediaReader(settings)
        self._live: NodeCatalogue | None = None

    def run(
        self, job: Job, *, cancel: CancellationToken | None = None, on_progress: OnProgress | None = None
    ) -> JobResult:
        """Run a job to its end.

        Raises:
            EngineError: of the class that says who must change something.
        """
        cancel = cancel or CancellationToken()
        timings = Timings()
        workflow = self.catalog[job.workflow]
        sent = self._offline(workflow, job.payload)
        cancel.raise_if_cancelled()
        with tempfile.TemporaryDirectory(prefix="job-") as scratch:
            folder = Path(scratch)
            with timings.measure("fetch"):
                files = self._fetch(job, workflow, sent, folder, cancel)
                values = self._live_values(workflow, job.payload)
                names = self._upload(files, cancel)
            graph = workflow.render(values, names, job_id=job.id)
            cancel.raise_if_cancelled()
            execution = self._execute(job, workflow, graph, cancel, on_progress)
            timings.seconds |= {"queue": execution.queue_seconds, "execute": execution.execute_seconds}
            with timings.measure("store"):
                cancel.raise_if_cancelled()
                outputs = self._collect(workflow, execution, folder)
                cancel.raise_if_cancelled()
                naming = Naming(workflow.name, workflow.version, job.id, reported(workflow, values, files))
                stored = self._storage.put(outputs, naming=naming, delivery=Delivery("inline"))
        return JobResult(
            workflow=workflow.name,
            version=workflow.version,
            outputs=tuple(stored),
            values=reported(workflow, values, files),
            timings=timings.total(),
            warnings=execution.warnings,
        )

    def _offline(self, workflow: Workflow, payload: Any) -> dict[str, Any]:
        """The values of a payload, choices unseen: what is wrong with it is told before a ComfyUI is started."""
        try:
            return workflow.validate(payload, _NO_LISTS)
        except InvalidPayload:
            workflow.validate(payload, self._live)  # tells wrong choices as well
            raise

    def _live_values(self, workflow: Workflow, payload: Any) -> dict[str, Any]:
        """The values of a payload, by the lists of the running ComfyUI."""
        known = self._live
        try:
            live = self.live_nodes()
        except ComfyUnavailable:
            workflow.validate(payload)
            raise
        try:
            return workflow.validate(payload, live)
        except InvalidPayload:
            # A choice is wrong, all else was fine before; a file that came since the lists were read is one as well.
            if known is None:
                raise
            with contextlib.suppress(ComfyUnavailable):
                live = self.live_nodes(refresh=True)
            return workflow.validate(payload, live)

    def live_nodes(self, *, refresh: bool = False) -> NodeCatalogue:
        """The node catalogue of the running ComfyUI, read once, or again."""
        if self._live is None or refresh:
            self._live = self._comfy().node_catalogue()
        return self._live

    def _fetch(
        self, job: Job, workflow: Workflow, values: Mapping[str, Any], folder: Path, cancel: CancellationToken
    ) -> dict[str, InputFile]:
        wanted = [
            Wanted(name, workflow.parameters[name].type, values[name])
            for name in workflow.media_parameters
            if values[name] is not None
        ]
        if not wanted:
            return {}
        return self._media.read(
            wanted, folder=folder / "inputs", job_id=job.id, allow_files=job.allow_files, cancel=cancel
        )

    def _upload(self, files: Mapping[str, InputFile], cancel: CancellationToken) -> dict[str, str]:
        names = {}
        for name, file in files.items():
            cancel.raise_if_cancelled()
            names[name] = self._comfy().upload(file.path, filename=file.filename, subfolder="")
        return names

    def _execute(
        self,
        job: Job,
        workflow: Workflow,
        graph: Graph,
        cancel: CancellationToken,
        on_progress: OnProgress | None,
    ) -> Execution:
        bounds = [self._settings.timeout_seconds, workflow.timeout_seconds, job.timeout_seconds]
        try:
            return self._comfy().execute(
                graph,
                prompt_id=job.prompt_id,
                cancel=cancel,
                timeout_seconds=min(bound for bound in bounds if bound is not None),
                queue_timeout_seconds=self._settings.queue_timeout_seconds,
                on_progress=on_progress,
            )
        except GraphRejected as error:
            raise _in_the_callers_words(error, workflow) from error

    def _collect(self, workflow: Workflow, execution: Execution, folder: Path) -> list[OutputFile]:
        declared = [(output.name, output.node_id, output.kind) for output in workflow.outputs]
        fetched = folder / "outputs"
        fetched.mkdir()
        found = self._comfy().collect(execution, declared, fetched)
        return [describe(raw, path) for raw, path in found]


_NO_LISTS = NodeCatalogue({}, live=True)


def reported(workflow: Workflow, values: Mapping[str, Any], files: Mapping[str, InputFile]) -> dict[str, Any]:
    """The values as results show them: of files their names alone."""
    shown = dict(values)
    for name in workflow.media_parameters:
        if shown[name] is not None:
            shown[name] = files[name].filename if name in files else f"({workflow.parameters[name].type})"
    return shown


def _in_the_callers_words(error: GraphRejected, workflow: Workflow) -> GraphRejected:
    """ComfyUI's complaints, each under the parameters that decide what it complains of."""
    problems = []
    for complaint in error.complaints:
        names = workflow.parameters_at(complaint.node_id, complaint.input_name or "")
        place = f"{complaint.class_type} ({complaint.node_id})"
        where = ", ".join(names) or (f"{place}.{complaint.input_name}" if complaint.input_name else place)
        problems.append(Problem(where, complaint.message))
    if not problems:
        return error
    by_caller = any(workflow.parameters_at(each.node_id, each.input_name or "") for each in error.complaints)
    return GraphRejected(
        problems=problems,
        hint="change these values" if by_caller else "tell the workflow's author: this ComfyUI does not take the graph",
        detail=error.detail,
        complaints=error.complaints,
    )
