"""Run one job, from a payload to stored results."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from engine.cancellation import CancellationToken, unless_cancelled
from engine.catalog import Catalog
from engine.comfy_contract import Comfy, Environments, OneComfy, OnProgress
from engine.comfyui import ResultGone, new_prompt_id
from engine.comfyui.complaints import UNKNOWN_CLASS
from engine.delivery import Delivery, Naming
from engine.errors import ComfyUnavailable, GraphRejected, OutOfMemory
from engine.graph import Graph
from engine.job import Job
from engine.job_run import JobRun
from engine.live_nodes import LiveNodes
from engine.logs import event
from engine.media import MediaReader, describe, finish, text_as_file
from engine.nodes import NodeCatalogue
from engine.plans import GraphPlan, NamedPlan, Plan
from engine.readiness import Coming, Readiness
from engine.results import Execution, InputFile, JobResult, OutputFile, RawOutput, StoredOutput
from engine.settings import Settings
from engine.storage import Storages
from engine.tally import Tally
from engine.tries import Tries

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_COLLECTIONS = 3
_LONG_TEXTS = 4
"""A text that takes more than this part of a reply becomes a file, which a bucket takes whatever its size."""


class Runner:
    """Runs jobs; one per process, used from several threads.

    Args:
        catalog: the workflows.
        comfy: gives the ComfyUI, started or not.
        storages: where results go.
        settings: bounds of time and size.
        environments: which ComfyUIs `comfy` may give; left out, there is one.

    Attributes:
        catalog: the workflows.
        settings: the operator's.
        media: reads what callers send or name.
        live: what the running ComfyUI has.
        coming: the models that are being fetched.
        tally: the jobs it was given.
    """

    def __init__(
        self,
        catalog: Catalog,
        comfy: Callable[[], Comfy],
        storages: Storages,
        settings: Settings,
        environments: Environments | None = None,
    ) -> None:
        self.catalog = catalog
        self.settings = settings
        self.media = MediaReader(settings)
        self.live = LiveNodes(comfy)
        self.coming = Coming()
        self._readiness: dict[str | None, tuple[Settings, Readiness]] = {}
        self.tally = Tally()
        self._give_comfy = comfy
        self._opened: Comfy | None = None
        self._environments = environments or OneComfy()
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
        with contextlib.suppress(ComfyUnavailable):
            return self._comfy().worn_out if self._opened else None  # who only looks opens none
        return None

    @property
    def environment(self) -> str | None:
        """The environment that runs, or is the next to; None for a ComfyUI that is none."""
        return self._environments.environment

    @property
    def readiness(self) -> Readiness:
        """What the workflows lack on the environment that runs, or is the next to; each has models of its own."""
        settings = self._environments.settings or self.settings  # one look: another thread may switch meanwhile
        name = settings.version_id
        known, readiness = self._readiness.get(name, (None, None))
        if readiness is None or (
            known is not settings and known != settings
        ):  # it may have been given another folder of models since
            readiness = Readiness(settings, self.live, self._comfy, self.coming)
            self._readiness[name] = settings, readiness
        return readiness

    def readiness_in(self, version_id: str | None) -> Readiness:
        """What the workflows lack in an environment; of one that does not run the disk tells.

        Raises:
            InvalidRequest: there is none of that name.
            EnvironmentUnverified: it is not as its lock says.
        """
        if self.serves(version_id):
            return self.readiness
        return Readiness.by_disk(self._environments.settings_of(version_id) or self.settings, self.coming)

    def serves(self, version_id: str | None) -> bool:
        """Whether that is the environment which runs, or is the next to.

        Raises:
            InvalidRequest: there is none of that name.
        """
        return self._environments.known(version_id) == self.environment

    def using(
        self, version_id: str | None, cancel: CancellationToken | None = None
    ) -> AbstractContextManager[str | None]:
        """Have an environment while jobs run: see `Backend.using`."""
        return self._environments.using(version_id, cancel or CancellationToken())

    @property
    def started(self) -> bool:
        """Whether there is a ComfyUI to ask; looking never starts one and never waits."""
        with contextlib.suppress(ComfyUnavailable):
            return self._comfy().started
        return False

    def system_stats(self) -> dict[str, Any]:
        """ComfyUI's versions, memory and devices, in its own words.

        Raises:
            ComfyUnavailable: it does not answer.
        """
        return self._comfy().system_stats()

    def nodes(self, cancel: CancellationToken | None, *, refresh: bool = False) -> NodeCatalogue:
        """The node classes of ComfyUI, which is waited for, and started if need be; read once, or again."""
        cancel = cancel or CancellationToken()
        self._comfy().ready(cancel)
        return unless_cancelled(functools.partial(self.live.get, refresh=refresh), cancel)

    def close(self) -> None:
        """Close what is open towards buckets and the network."""
        self.media.close()
        self._storages.close()

    def run(
        self, job: Job, *, cancel: CancellationToken | None = None, on_progress: OnProgress | None = None
    ) -> JobResult:
        """Run a job to its end, on the environment that is held (`using`), or else on the one that runs.

        Raises:
            EngineError: of the class that says who must change something.
        """
        cancel = cancel or CancellationToken()
        timings = job.timings
        plan = self._plan(job, cancel)
        plan.check_ready(self.readiness)  # before anything is fetched, started or waited for
        delivery = self._delivery(job, plan)
        cancel.raise_if_cancelled()
        with tempfile.TemporaryDirectory(prefix="job-") as scratch:
            run = JobRun(job, plan, delivery, Path(scratch), cancel, on_progress)
            with timings.measure("fetch"):
                run.files = self._fetch(job, plan, run.folder / "inputs", cancel)
            tries = Tries(job.prompt_id)
            self._wait_for_comfy(run)
            with timings.measure("fetch"):
                self._persistently(run, tries, lambda: unless_cancelled(lambda: plan.settle(self.readiness), cancel))
            stored, warnings = self._persistently(run, tries, lambda: self._try(run, tries))
        return JobResult(
            workflow=plan.name,
            version=plan.version,
            outputs=tuple(stored),
            values=run.values,
            timings=timings.total(),
            warnings=(*job.notes, *plan.warnings, *tries.warnings, *warnings),
        )

    def _comfy(self) -> Comfy:
        self._opened = self._give_comfy()
        return self._opened

    def rehearse(self, name: str, *, cancel: CancellationToken | None = None) -> None:
        """Run a workflow for nobody, with its first example or its defaults, so that what it needs is loaded.

        Raises:
            EngineError: as `run` does.
        """
        examples = self.catalog[name].examples
        payload = examples[0].payload if examples else {}
        with self.using(None, cancel):
            self.run(Job("warm-up", name, payload, prompt_id=new_prompt_id(), discard=True), cancel=cancel)

    def _persistently(self, run: JobRun, tries: Tries, step: Callable[[], _T]) -> _T:
        """Do what needs ComfyUI, again where it was gone meanwhile, as often as `tries` allows."""
        while True:
            try:
                return step()
            except (ComfyUnavailable, ResultGone) as error:
                tries.count(error)
            run.job.timings.retries += 1
            self._comfy().suspect()
            try:
                self._wait_for_comfy(run)
            except ComfyUnavailable as error:
                raise tries.left_alone(error) from error

    def _wait_for_comfy(self, run: JobRun) -> None:
        comfy = self._comfy()
        if comfy.started:
            comfy.ready(run.cancel)  # a look at most
            return
        with run.job.timings.measure("start"):
            comfy.ready(run.cancel)

    def _try(self, run: JobRun, tries: Tries) -> tuple[list[StoredOutput], list[str]]:
        """Run the graph once, and store what it makes; with the warnings."""
        job, plan, timings = run.job, run.plan, run.job.timings
        prompt_id = tries.prompt_id()
        folder = run.folder / prompt_id
        folder.mkdir()
        with self._comfy().workspace(job.id, prompt_id) as space:
            with timings.measure("fetch"):
                names = run.placed(space)
            graph = space.isolated(plan.graph(names, job_id=job.id, previews=job.previews), anew=tries.anew)
            run.cancel.raise_if_cancelled()
            with timings.measure("execute"):
                execution = self._execute(run, graph, prompt_id, folder)
            timings.seconds |= {"queue": execution.queue_seconds, "execute": execution.execute_seconds}
            with timings.measure("store"):
                naming = Naming(plan.name, plan.version, job.id, run.values)
                outputs, warnings = self._finished(run, execution, naming, folder / "outputs")
                outputs = [] if job.discard else outputs
                stored, more = self._storages.put(
                    outputs, naming=naming, delivery=run.delivery, s3_config=job.s3_config, cancel=run.cancel
                )
        return stored, [*execution.warnings, *warnings, *more]

    def _plan(self, job: Job, cancel: CancellationToken) -> Plan:
        if job.graph is not None:
            if job.sent:
                self._comfy().ready(cancel)  # which of a graph's inputs take files, only its ComfyUI knows
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

    def _execute(self, run: JobRun, graph: Graph, prompt_id: str, folder: Path) -> Execution:
        job, plan = run.job, run.plan
        bounds = [self.settings.timeout_seconds, plan.timeout_seconds, job.timeout_seconds]
        key = job.comfy_org_api_key or self.settings.comfy_org_api_key
        frames = folder / "frames"
        frames.mkdir()
        try:
            return self._comfy().execute(
                graph,
                prompt_id=prompt_id,
                cancel=run.cancel,
                timeout_seconds=min(bound for bound in bounds if bound is not None),
                queue_timeout_seconds=self.settings.queue_timeout_seconds,
                on_progress=run.tell,
                extra_data={"api_key_comfy_org": key} if key else None,
                frames_folder=frames,
                needed_outputs=plan.needed_outputs,
                previews=job.previews,
                floor=run.furthest,
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
                self.live.get(refresh=True)
        self.readiness.look_again()
        plan.check_ready(self.readiness)

    def _finished(
        self, run: JobRun, execution: Execution, naming: Naming, folder: Path
    ) -> tuple[list[OutputFile], list[str]]:
        """The results, described and as the delivery wants them, and what went wrong with that."""
        plan, cancel, delivery = run.plan, run.cancel, run.delivery
        folder.mkdir()
        stamp = {
            "workflow": naming.workflow,
            "version": naming.version,
            "values": naming.values,
            "engine": _engine_version(),
        }
        found = self._collected(run, execution, folder)
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
            self._wait_for_comfy(run)


@functools.cache
def _engine_version() -> str:
    return importlib.metadata.version("comfyui-workflow-engine")
