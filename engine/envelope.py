"""The reply to a request: what a RunPod job gives back."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.cancellation import CancellationToken
from engine.catalog import Entry
from engine.comfy_contract import OnProgress
from engine.dialects import delivery_of, dialect_of, sent_files, shaped
from engine.errors import Cancelled, ComfyUnavailable, EngineError, InvalidRequest, OutOfMemory
from engine.graph import Graph
from engine.health import health
from engine.job import Job
from engine.job_account import Account
from engine.jobs import Runner
from engine.logs import about, hiding, secrets_in
from engine.order import next_order
from engine.raw_graph import CUSTOM, UiGraphs, brings_graph, graph_document, parse_raw
from engine.replies import MOST_LEVELS, failure_reply, fitting, fitting_failure, too_deep
from engine.request import Request, parse_request, unpacked
from engine.results import Progress
from engine.storage import DeliveryRequest

__all__ = ["answer", "failure_reply", "fitting"]

_LARGEST_GRAPH_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """What a request is answered with.

    Attributes:
        runner: runs it.
        account: is told what becomes of it.
        job_id: names it in the log and in file names.
        hidden: takes what hides further secrets from the log, until the request is answered.
        cancel: asks it to stop.
        on_progress: is told how far it is, unless the request declines.
        allow_files: media values may name files of this machine.
        order: its place among the jobs of this process.
    """

    runner: Runner
    account: Account
    job_id: str
    hidden: contextlib.ExitStack
    cancel: CancellationToken | None = None
    on_progress: OnProgress | None = None
    allow_files: bool = False
    order: int = 0


def answer(
    document: Any,
    runner: Runner,
    *,
    job_id: str,
    cancel: CancellationToken | None = None,
    on_progress: OnProgress | None = None,
    allow_files: bool = False,
    s3_config: Any = None,
    order: int | None = None,
) -> dict[str, Any]:
    """Do what a request says.

    Never raises, but for a cancellation: what goes wrong becomes a reply with `error` and `failure`; internals go to
    the log with the job's id.

    Args:
        document: a job's input.
        runner: runs it.
        job_id: names it in the log and in file names.
        cancel: asks it to stop.
        on_progress: is told how far it is, unless the request declines.
        allow_files: media values may name files of this machine.
        s3_config: what stood beside the input in the job.
        order: its place among the jobs of this process (`engine.order`); left out, behind those that were begun.

    Returns:
        The reply, in JSON's types, no longer than the platform takes.

    Raises:
        Cancelled: it was asked to stop.
    """
    account = Account(runner.tally, runner.intake, job_id)
    with about(job_id=job_id), contextlib.ExitStack() as hidden:
        try:
            document = unpacked(document)
            hidden.enter_context(hiding(*_secrets(document, s3_config)))
            if too_deep([document, s3_config]):
                raise InvalidRequest(f"the input is nested more than {MOST_LEVELS} levels deep")
            request = parse_request(document, s3_config=s3_config)
            own_graph = _brings_graph(request, runner)
            with about(workflow=CUSTOM if own_graph else _known_name(request, runner)):
                account.taken(request.action, own_graph=own_graph)
                if order is None:
                    order = next_order() if request.action == "run" else 0  # of what never comes to ComfyUI
                context = Context(runner, account, job_id, hidden, cancel, on_progress, allow_files, order)
                reply = _ACTIONS[request.action](request, context)
                reply = fitting(reply, runner.settings.response_limit_bytes)
                account.done()
                return reply
        except Cancelled as error:
            account.cancelled(error)
            raise
        except EngineError as error:
            account.failed(error)
            failure = error
        except MemoryError:
            failure = OutOfMemory("the worker itself ran out of memory", hint="send smaller files, or fewer at once")
            account.failed(failure, unexpected=True)
        except (Exception, SystemExit):  # noqa: BLE001 - the outermost edge: what got past it would be lost or lay us bare
            failure = EngineError(hint=f"ask the operator, who finds the cause in the log under job {job_id}")
            account.failed(failure, unexpected=True)
    return fitting_failure(failure, runner.settings.response_limit_bytes)


def _secrets(document: Any, s3_config: Any) -> list[str]:
    """What a request brings of secrets, which no line of the log may hold."""
    sent = document if isinstance(document, dict) else {}
    configs = [config for config in (sent.get("s3Config"), s3_config) if isinstance(config, dict)]
    values = [
        value
        for config in configs
        for key, value in config.items()
        if any(word in str(key).lower() for word in ("access", "secret", "token", "password"))
    ]
    return [*(value for value in (*values, sent.get("comfy_org_api_key")) if isinstance(value, str)), *secrets_in(sent)]


def _brings_graph(request: Request, runner: Runner) -> bool:
    keys = {"workflow": request.workflow, "workflow_url": request.workflow_url}
    return request.action == "run" and brings_graph(keys, runner.catalog)


def _known_name(request: Request, runner: Runner) -> str | None:
    """The workflow's name, for the log: only one that there is, since what a caller sends can be anything."""
    name = request.workflow
    return name if isinstance(name, str) and name in runner.catalog else None


def list_workflows(runner: Runner) -> dict[str, Any]:
    """Every workflow: name, title, and whether it works, with what is wrong or missing where it doesn't.

    `warnings` is there where a repository of workflows could not be had, or only as it was.
    """
    told = {"workflows": [_line(entry, runner) for entry in runner.catalog.entries()]}
    troubles = runner.catalog.troubles()
    return told | ({"warnings": troubles} if troubles else {})


def _line(entry: Entry, runner: Runner) -> dict[str, Any]:
    return entry.as_dict() | (runner.readiness.state(entry.workflow) if entry.workflow else {})


def _run_where_asked(request: Request, context: Context) -> dict[str, Any]:
    with context.runner.using(request.version_id, context.cancel, context.order) as environment:
        context.account.runs_in(environment)
        return _run(request, context)


def _run(request: Request, context: Context) -> dict[str, Any]:
    runner = context.runner
    keys = request.model_dump(exclude_unset=True, exclude_none=True, by_alias=True)
    delivery = _delivery(request, keys, runner)
    graph, notes = _graph(request, keys, context)
    job = Job(
        id=context.job_id,
        workflow=request.workflow if graph is None else CUSTOM,
        payload=request.payload,
        prompt_id=str(uuid.uuid4()),
        timeout_seconds=request.timeout_seconds,
        retries=request.retries,
        allow_files=context.allow_files,
        graph=graph,
        notes=notes,
        sent=sent_files(request.images, request.input_images),
        delivery=delivery,
        s3_config=request.s3_config,
        previews=request.previews,
        comfy_org_api_key=request.comfy_org_api_key,
        order=context.order,
    )
    told = context.on_progress if request.progress else None

    def on_progress(progress: Progress) -> None:
        context.account.at(progress)
        if told is not None:
            told(progress)

    context.account.times(job.timings)
    result = runner.run(job, cancel=context.cancel, on_progress=on_progress)
    context.account.made(result)
    dialect = dialect_of(keys, runner.settings.response_dialect, runner.catalog)
    return shaped(result.as_dict(), dialect, verbose=request.verbose)


def _delivery(request: Request, keys: dict[str, Any], runner: Runner) -> DeliveryRequest | None:
    """The request's wishes, those in other workers' words included; ours come first."""
    others = delivery_of(keys, gcs_bucket=runner.settings.gcs_bucket)
    if not others:
        return request.delivery
    ours = request.delivery.model_dump(exclude_none=True) if request.delivery else {}
    return DeliveryRequest.model_validate({**others, **ours})


def _graph(request: Request, keys: dict[str, Any], context: Context) -> tuple[Graph | None, tuple[str, ...]]:
    """The whole graph of a request, None where it names a workflow; and what to say of it.

    Raises:
        InvalidRequest: the operator does not allow graphs, or it is none.
        InputUnavailable: it is not at its URL.
    """
    runner = context.runner
    if not _brings_graph(request, runner):
        return None, ()
    document = graph_document(keys, allowed=runner.settings.allow_raw_workflows)
    if document is None and request.workflow_url is not None:
        content = runner.media.fetch_document(
            request.workflow_url, where="workflow_url", max_bytes=_LARGEST_GRAPH_BYTES, cancel=context.cancel
        )
        document = content.decode("utf-8", errors="replace")
    convert = UiGraphs(lambda refresh: runner.nodes(context.cancel, refresh=refresh), context.cancel)
    graph = parse_raw(document, convert=convert)
    context.hidden.enter_context(hiding(*secrets_in(graph)))  # it may have come as a text, or from a URL
    return graph, convert.notes


def _describe(request: Request, context: Context) -> dict[str, Any]:
    workflow = context.runner.catalog[request.workflow]
    try:
        live = context.runner.live.get() if context.runner.serves(request.version_id) else None
    except ComfyUnavailable:
        live = None  # then the lists of files stay open
    return workflow.describe(live) | context.runner.readiness_in(request.version_id).state(workflow)


def _render(request: Request, context: Context) -> dict[str, Any]:
    workflow = context.runner.catalog[request.workflow]
    values = workflow.validate(request.payload)
    return {
        "workflow": workflow.name,
        "graph": workflow.render(values, job_id=context.job_id),
        "values": workflow.without_media(values, {}),
    }


_ACTIONS: dict[str, Callable[[Request, Context], dict[str, Any]]] = {
    "run": _run_where_asked,
    "list": lambda _, context: list_workflows(context.runner),
    "describe": _describe,
    "render": _render,
    "health": lambda _, context: health(context.runner),
}
