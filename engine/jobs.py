"""Run one job, from a payload to stored results."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from engine.attempts import chosen
from engine.cancellation import CancellationToken, unless_cancelled
from engine.catalog import Catalog
from engine.comfy_contract import Comfy, Environments, OneComfy, OnProgress
from engine.comfyui import new_prompt_id
from engine.delivery import Delivery, Naming, StorageMode
from engine.errors import ComfyUnavailable
from engine.graph_plan import GraphPlan
from engine.intake import Bounds, Intake
from engine.job import Job
from engine.job_run import JobRun
from engine.live_nodes import LiveNodes
from engine.making import Made, Maker
from engine.media import KeptFiles, MediaReader, finish
from engine.nodes import NodeCatalogue
from engine.plans import NamedPlan, Plan
from engine.readiness import Coming, Readiness
from engine.results import InputFile, JobResult, StoredOutput
from engine.scratch import Scratch
from engine.settings import Settings
from engine.storage import DeliveryRequest, Storages
from engine.tally import Tally
from engine.tries import Tries


class Runner:
    """Runs jobs; one per process, used from several threads.

    Args:
        catalog: the workflows.
        comfy: gives the ComfyUI, started or not.
        storages: where results go.
        settings: bounds of time and size.
        environments: which ComfyUIs `comfy` may give; left out, there is one.
        kept: files that were sent to this machine before, which payloads may name; for the local server alone.

    Attributes:
        catalog: the workflows.
        settings: the operator's.
        media: reads what callers send or name.
        live: what the running ComfyUI has.
        coming: the models that are being fetched.
        tally: the jobs it was given.
        intake: how many of them it had better have at once.
    """

    def __init__(
        self,
        catalog: Catalog,
        comfy: Callable[[], Comfy],
        storages: Storages,
        settings: Settings,
        environments: Environments | None = None,
        *,
        kept: KeptFiles | None = None,
    ) -> None:
        self.catalog = catalog
        self.settings = settings
        self.media = MediaReader(settings, kept=kept)
        self.live = LiveNodes(comfy)
        self.coming = Coming()
        self._readiness: dict[str | None, tuple[Settings, Readiness]] = {}
        self.tally = Tally()
        self.intake = Intake(Bounds(1 if settings.refresh_worker else settings.jobs_at_once, settings.job_hold_seconds))
        self._give_comfy = comfy
        self._opened: Comfy | None = None
        self._environments = environments or OneComfy()
        self._storages = storages
        self._scratch = Scratch()

    def warm(self) -> None:
        """Build what the first result would wait for; sends nothing.

        Raises:
            StorageError: no client can be made of the settings.
        """
        self._storages.warm()

    @property
    def default_mode(self) -> StorageMode:
        """Where results go, where a request does not say otherwise."""
        return self._storages.default_mode

    @property
    def results_in_bucket(self) -> bool:
        """Whether results go to a bucket, where a request does not say otherwise."""
        return self.default_mode in ("s3", "gcs")

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
        self, version_id: str | None, cancel: CancellationToken | None = None, order: int | None = None
    ) -> AbstractContextManager[str | None]:
        """Have an environment while jobs run: see `Backend.using`."""
        return self._environments.using(version_id, cancel or CancellationToken(), order)

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
        """Close what is open towards buckets and the network, and remove what is kept for further jobs."""
        self.media.close()
        self._storages.close()
        self._scratch.close()

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
        with self._scratch.folder() as folder:
            run = JobRun(job, plan, delivery, folder, cancel, on_progress, self._longest_seconds(job, plan))
            with timings.measure("fetch"):
                run.files = self._fetch(job, plan, run.folder / "inputs", cancel)
            tries = Tries(job.prompt_id)
            maker = Maker(self._comfy, self.live, lambda: self.readiness, self.settings, tries)
            maker.wait_for_comfy(run)
            with timings.measure("fetch"):
                maker.persistently(run, lambda: unless_cancelled(lambda: plan.settle(self.readiness), cancel))
            with chosen(run, maker.make) as result:
                stored, warnings = self._stored(run, result.made)
        return JobResult(
            workflow=plan.name,
            version=plan.version,
            outputs=tuple(stored),
            values=result.made.values,
            timings=timings.total(),
            warnings=(*job.notes, *plan.warnings, *tries.warnings, *result.warnings, *warnings),
            quality=result.quality,
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
        # Before all others: those that were taken wait for this.
        with self.using(None, cancel, order=0):
            self.run(Job("warm-up", name, payload, prompt_id=new_prompt_id(), discard=True, order=0), cancel=cancel)

    def _stored(self, run: JobRun, made: Made) -> tuple[list[StoredOutput], list[str]]:
        """A result where its caller gets at it, in the form that was asked for; with the warnings."""
        job, plan, warnings = run.job, run.plan, [*made.warnings]
        naming = Naming(plan.name, plan.version, job.id, made.values)
        stamp = {
            "workflow": naming.workflow,
            "version": naming.version,
            "values": naming.values,
            "engine": _engine_version(),
        }
        with job.timings.measure("store"):
            outputs = []
            for described in made.outputs:
                run.cancel.raise_if_cancelled()
                output, said = finish(described, delivery=run.delivery, stamp=stamp, folder=made.folder)
                outputs.append(output)
                warnings += said
            run.cancel.raise_if_cancelled()
            stored, more = self._storages.put(
                [] if job.discard else outputs,
                naming=naming,
                delivery=run.delivery,
                s3_config=job.s3_config,
                cancel=run.cancel,
            )
        return stored, [*warnings, *more]

    def _longest_seconds(self, job: Job, plan: Plan) -> float:
        bounds = [self.settings.timeout_seconds, plan.timeout_seconds, job.timeout_seconds]
        return min(bound for bound in bounds if bound is not None)

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

    def check_delivery(self, asked: DeliveryRequest | None, parameters: Sequence[str]) -> None:
        """Check that results can be delivered as a request asks, before it is queued.

        Raises:
            InvalidRequest: they can't; with every problem.
        """
        self._storages.delivery(asked, parameters=parameters)

    def _fetch(self, job: Job, plan: Plan, folder: Path, cancel: CancellationToken) -> dict[str, InputFile]:
        wanted = plan.wanted(self.settings)
        if not wanted:
            return {}
        sent = {} if job.graph is not None else job.sent  # a graph's files are the wanted ones themselves
        return self.media.read(
            wanted, folder=folder, job_id=job.id, sent=sent, allow_files=job.allow_files, cancel=cancel
        )


@functools.cache
def _engine_version() -> str:
    return importlib.metadata.version("comfyui-workflow-engine")
