"""Run one job, from a payload to stored results."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.comfyui import Declared
from engine.delivery import Delivery, Naming
from engine.errors import GraphRejected
from engine.graph import Graph
from engine.live_nodes import LiveNodes
from engine.media import MediaReader, describe, finish, text_as_file
from engine.nodes import NodeCatalogue
from engine.plans import GraphPlan, NamedPlan, Plan
from engine.results import Execution, InputFile, JobResult, OutputFile, Progress, RawOutput
from engine.settings import Settings
from engine.storage import DeliveryRequest, Storages

OnProgress = Callable[[Progress], None]

_LONG_TEXTS = 4
"""A text that takes more than this part of a reply becomes a file, which a bucket takes whatever its size."""


class Space(Protocol):
    """A job's own place in ComfyUI's folders; `engine.comfyui.Workspace` is one."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what the job put there, and its results, unless they could not be stored."""

    def add(self, path: Path, filename: str) -> str:
        """Put a file where loader nodes find it; gives the name a graph calls it by."""

    def isolated(self, graph: Graph) -> Graph:
        """The graph with its results in the job's own folder."""


class Comfy(Protocol):
    """What a job needs of a ComfyUI; `engine.comfyui.ComfyUI` is one."""

    @property
    def worn_out(self) -> str | None:
        """Why this machine had better be replaced by another; None while there is no reason."""

    def system_stats(self) -> dict[str, Any]:
        """ComfyUI's versions, memory and devices, in its own words (`/system_stats`)."""

    def node_catalogue(self) -> NodeCatalogue:
        """Read the node classes, with the files they can use, from the running ComfyUI."""

    def workspace(self, job_id: str, prompt_id: str) -> Space:
        """A job's own place in its folders."""

    def execute(
        self,
        graph: Graph,
        *,
        prompt_id: str,
        cancel: CancellationToken,
        timeout_seconds: float,
        queue_timeout_seconds: float,
        on_progress: OnProgress | None,
        extra_data: Mapping[str, Any] | None,
        frames_folder: Path | None,
    ) -> Execution:
        """Queue the graph and wait for its end."""

    def collect(
        self, execution: Execution, declared: Sequence[Declared], folder: Path, *, previews: bool
    ) -> list[tuple[RawOutput, Path | None]]:
        """Fetch what the nodes made into the folder, in the order the outputs are declared; None for text."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Attributes:
        id: names its files; a caller's or the platform's.
        workflow: the name; not looked at where there is a graph.
        payload: as it was sent.
        prompt_id: ComfyUI's id for it, a UUID.
        timeout_seconds: what the caller allows, below what the workflow and the operator do.
        allow_files: media values may name files of this machine, and results go into a folder of it; for the command
            line alone.
        graph: a whole graph instead of a workflow, checked.
        sent: the files that came with the request: name to a media value.
        delivery: how the caller wants the results.
        s3_config: the caller's own bucket, as RunPod's `s3Config` says it.
        previews: whether what preview nodes made is a result too.
        comfy_org_api_key: the caller's own, for nodes that call comfy.org.
        discard: its results go nowhere.
    """

    id: str
    workflow: str
    payload: Any
    prompt_id: str
    timeout_seconds: float | None = None
    allow_files: bool = False
    graph: Graph | None = None
    sent: Mapping[str, Any] = field(default_factory=dict, repr=False)
    delivery: DeliveryRequest | None = None
    s3_config: Mapping[str, Any] | None = field(default=None, repr=False)
    previews: bool = False
    comfy_org_api_key: str | None = field(default=None, repr=False)
    discard: bool = False


@dataclass(slots=True)
class Timings:
    """Seconds that the steps of a job took, by name."""

    seconds: dict[str, float] = field(default_factory=dict)
    _start: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measure what runs inside; a step that comes in two parts is their sum."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def total(self) -> dict[str, float]:
        """All of them, with the total since the beginning."""
        return {**self.seconds, "total": time.monotonic() - self._start}


class Runner:
    """Runs jobs; one per process, used from several threads.

    Args:
        catalog: the workflows.
        comfy: the ComfyUI, started when first needed.
        storages: where results go.
        settings: bounds of time and size.

    Attributes:
        catalog: the workflows.
        settings: the operator's.
        media: reads what callers send or name.
        live: what the running ComfyUI has.
    """

    def __init__(self, catalog: Catalog, comfy: Callable[[], Comfy], storages: Storages, settings: Settings) -> None:
        self.catalog = catalog
        self.settings = settings
        self.media = MediaReader(settings)
        self.live = LiveNodes(comfy)
        self._comfy = self._opening(comfy)
        self._opened: Comfy | None = None
        self._storages = storages

    def warm(self) -> None:
        """Build what the first result would wait for; sends nothing.

        Raises:
            StorageError: no client can be made of the settings.
        """
        self._storages.warm()

    @property
    def worn_out(self) -> str | None:
        """Why this machine had better be replaced by another, such as a ComfyUI that crashed again and again."""
        return self._opened.worn_out if self._opened else None  # asking starts none

    def close(self) -> None:
        """Close what is open towards buckets and the network."""
        self.media.close()
        self._storages.close()

    def run(
        self, job: Job, *, cancel: CancellationToken | None = None, on_progress: OnProgress | None = None
    ) -> JobResult:
        """Run a job to its end.

        Raises:
            EngineError: of the class that says who must change something.
        """
        cancel = cancel or CancellationToken()
        timings = Timings()
        plan = self._plan(job)
        delivery = self._delivery(job, plan)
        cancel.raise_if_cancelled()
        with tempfile.TemporaryDirectory(prefix="job-") as scratch:
            folder = Path(scratch)
            with timings.measure("fetch"):
                files = self._fetch(job, plan, folder / "inputs", cancel)
                plan.settle()
            with self._comfy().workspace(job.id, job.prompt_id) as space:
                with timings.measure("fetch"):
                    names = _placed(files, space, cancel)
                graph = space.isolated(plan.graph(names, job_id=job.id, previews=job.previews))
                cancel.raise_if_cancelled()
                execution = self._execute(job, plan, graph, folder, cancel, on_progress)
                timings.seconds |= {"queue": execution.queue_seconds, "execute": execution.execute_seconds}
                with timings.measure("store"):
                    values = plan.values({where: file.filename for where, file in files.items()})
                    naming = Naming(plan.name, plan.version, job.id, values)
                    outputs, warnings = self._finished(
                        job, plan, execution, delivery, naming, folder / "outputs", cancel
                    )
                    outputs = [] if job.discard else outputs
                    stored, more = self._storages.put(
                        outputs, naming=naming, delivery=delivery, s3_config=job.s3_config, cancel=cancel
                    )
        return JobResult(
            workflow=plan.name,
            version=plan.version,
            outputs=tuple(stored),
            values=values,
            timings=timings.total(),
            warnings=(*plan.warnings, *execution.warnings, *warnings, *more),
        )

    def rehearse(self, name: str, *, cancel: CancellationToken | None = None) -> None:
        """Run a workflow for nobody, with its first example or its defaults, so that what it needs is loaded.

        Raises:
            EngineError: as `run` does.
        """
        examples = self.catalog[name].examples
        payload = examples[0].payload if examples else {}
        self.run(Job("warm-up", name, payload, prompt_id=str(uuid.uuid4()), discard=True), cancel=cancel)

    def _opening(self, comfy: Callable[[], Comfy]) -> Callable[[], Comfy]:
        def opened() -> Comfy:
            self._opened = comfy()
            return self._opened

        return opened

    def _plan(self, job: Job) -> Plan:
        if job.graph is not None:
            return GraphPlan(job.graph, job.sent, self.live)
        return NamedPlan(self.catalog[job.workflow], job.payload, job.sent, self.live)

    def _delivery(self, job: Job, plan: Plan) -> Delivery:
        return self._storages.delivery(
            job.delivery, s3_config=job.s3_config, parameters=plan.parameters, allow_folder=job.allow_files
        )

    def _fetch(self, job: Job, plan: Plan, folder: Path, cancel: CancellationToken) -> dict[str, InputFile]:
        wanted = plan.wanted(self.settings)
        if not wanted:
            return {}
        sent = {} if job.graph is not None else job.sent  # a graph's files are the wanted ones themselves
        return self.media.read(
            wanted, folder=folder, job_id=job.id, sent=sent, allow_files=job.allow_files, cancel=cancel
        )

    def _execute(
        self,
        job: Job,
        plan: Plan,
        graph: Graph,
        folder: Path,
        cancel: CancellationToken,
        on_progress: OnProgress | None,
    ) -> Execution:
        bounds = [self.settings.timeout_seconds, plan.timeout_seconds, job.timeout_seconds]
        key = job.comfy_org_api_key or self.settings.comfy_org_api_key
        frames = folder / "frames"
        frames.mkdir()
        try:
            return self._comfy().execute(
                graph,
                prompt_id=job.prompt_id,
                cancel=cancel,
                timeout_seconds=min(bound for bound in bounds if bound is not None),
                queue_timeout_seconds=self.settings.queue_timeout_seconds,
                on_progress=on_progress,
                extra_data={"api_key_comfy_org": key} if key else None,
                frames_folder=frames,
            )
        except GraphRejected as error:
            raise plan.in_the_callers_words(error) from error

    def _finished(
        self,
        job: Job,
        plan: Plan,
        execution: Execution,
        delivery: Delivery,
        naming: Naming,
        folder: Path,
        cancel: CancellationToken,
    ) -> tuple[list[OutputFile], list[str]]:
        """The results, described and as the delivery wants them, and what went wrong with that."""
        folder.mkdir()
        stamp = {
            "workflow": naming.workflow,
            "version": naming.version,
            "values": naming.values,
            "engine": _engine_version(),
        }
        found = self._comfy().collect(execution, plan.outputs, folder, previews=job.previews)
        names = {raw.name for raw, _ in found}
        warnings = [
            f"the output {name} is empty: its node {node_id} gave nothing"
            for name, node_id, _ in plan.outputs
            if name not in names
        ]
        outputs = []
        for raw, path in found:
            cancel.raise_if_cancelled()
            described = describe(raw, path)
            if len(json.dumps(described.text or "")) > self.settings.response_limit_bytes // _LONG_TEXTS:
                described = text_as_file(described, folder)
            output, said = finish(described, delivery=delivery, stamp=stamp, folder=folder)
            outputs.append(output)
            warnings += said
        cancel.raise_if_cancelled()
        return outputs, warnings


def _placed(files: Mapping[str, InputFile], space: Space, cancel: CancellationToken) -> dict[str, str]:
    """Put the files where ComfyUI finds them, each once; gives what it knows them by."""
    known: dict[Path, str] = {}
    for file in files.values():
        cancel.raise_if_cancelled()
        if file.path not in known:
            known[file.path] = space.add(file.path, file.filename)
    return {where: known[file.path] for where, file in files.items()}


@functools.cache
def _engine_version() -> str:
    return importlib.metadata.version("comfyui-workflow-engine")
