"""The workflows of a catalog as tools: which there are, and what an agent is told of each."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.authoring.describing import parameter_rows, with_short_files
from engine.catalog import Catalog
from engine.errors import ComfyUnavailable
from engine.jobs import Runner
from engine.logs import event
from engine.mcp.arguments import arguments_schema, example_text
from engine.nodes import NodeCatalogue
from engine.plans import NamedPlan
from engine.schema import MEDIA_TYPES
from engine.wording import listed, shorter
from engine.workflow import Workflow

log = logging.getLogger(__name__)

_LONGEST_TITLE = 200
_LONGEST_ABOUT = 4_000
_LONGEST_EXAMPLE = 400
_MOST_NAMED = 30
_LACKING_SECONDS = 30.0
MOST_LIST_BYTES = 500_000
"""Of one answer to a question for the list: clients of the library `mcp` (2.3) refuse a message of more than 1 MiB."""

MEDIA_HERE = "the path of a file on this machine, a URL (https://…), or a data URI"
MEDIA_SENT = "a URL (https://…), a data URI, or the name of a file that was uploaded (POST /files of this server)"


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools there are, and what is left out.

    Attributes:
        tools: in MCP's words, in the order of their names.
        not_ready: workflows that lack models or nodes on this machine.
        broken: workflows that can't be used anywhere.
    """

    tools: tuple[dict[str, Any], ...] = ()
    not_ready: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


class Tools:
    """The workflows as tools. Safe to use from several threads.

    Broken workflows are left out, as they are anywhere. So are those that lack models or nodes: a tool that can't be
    used costs an agent as much of its memory as one that can. They come when what they need does.

    Args:
        runner: has the workflows, and knows what is missing and which choices there are.
        media: the forms that a file may have, `MEDIA_HERE` or `MEDIA_SENT`.
    """

    def __init__(self, runner: Runner, media: str) -> None:
        self._runner = runner
        self._media = media
        self._lacked: tuple[tuple[Any, ...], float, tuple[str, ...]] = ((), 0.0, ())

    @property
    def catalog(self) -> Catalog:
        """The workflows."""
        return self._runner.catalog

    def live(self) -> NodeCatalogue | None:
        """What is known of the running ComfyUI; it is asked the first time, and never started or waited for."""
        if self._runner.live.known is None and self._runner.started:
            try:
                return self._runner.live.get()
            except ComfyUnavailable:
                return None
        return self._runner.live.known

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """See that nothing that can be known now speaks against a call.

        Raises:
            UnknownWorkflow: there is no such tool; with the nearest.
            EngineError: what is wrong with the arguments, or missing on this machine.
        """
        plan = NamedPlan(self.catalog[name], dict(arguments), {}, self._runner.live)
        plan.check_ready(self._runner.readiness)
        if self._runner.started:
            with contextlib.suppress(ComfyUnavailable):
                plan.settle(self._runner.readiness)

    def offer(self) -> Offer:
        """The tools as they are now."""
        live, readiness = self.live(), self._runner.readiness
        tools, not_ready, broken = [], [], []
        for entry in self.catalog.entries():
            name, workflow = entry.source.name, entry.workflow
            if workflow is None:
                broken.append(name)
                continue
            try:
                if readiness.of(workflow):
                    not_ready.append(name)
                else:
                    tools.append(tool_of(workflow, live, self._media))
            except Exception as error:  # noqa: BLE001 - whatever one workflow provokes, the others are offered
                event(log, logging.ERROR, "a workflow can't be offered", workflow=name, reason=type(error).__name__)
                broken.append(name)
        return Offer(tuple(tools), tuple(not_ready), tuple(broken))

    def state(self) -> tuple[Any, ...]:
        """What changes when the tools do: cheap enough to be asked every few seconds."""
        files = tuple(
            (name, source.folder, _changed(source.template), _changed(source.map))
            for name, source in self.catalog.sources().items()
        )
        return files, self._lacking(files), id(self._runner.live.known)

    def _lacking(self, files: tuple[Any, ...]) -> tuple[str, ...]:
        """The workflows that are not ready; asked seldom, since ComfyUI may be asked for it."""
        known, until, names = self._lacked
        if files != known or time.monotonic() >= until:
            readiness = self._runner.readiness
            there = (entry.workflow for entry in self.catalog.entries())
            names = tuple(each.name for each in there if each and readiness.of(each))
            self._lacked = (files, time.monotonic() + _LACKING_SECONDS, names)
        return names


def page_of(tools: Sequence[dict[str, Any]], after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """As many tools as one answer holds.

    Args:
        tools: all of them, in the order of their names.
        after: the last name of the page before; None for the first page.

    Returns:
        The page, and what the next one comes after; None where this is the last.
    """
    page: list[dict[str, Any]] = []
    size = 0
    for tool in tools:
        if after is not None and tool["name"] <= after:
            continue
        size += len(json.dumps(tool))
        if page and size > MOST_LIST_BYTES:
            return page, page[-1]["name"]
        page.append(tool)
    return page, None


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def tool_of(workflow: Workflow, live: NodeCatalogue | None, media: str) -> dict[str, Any]:
    """A workflow as a tool, in MCP's words (https://modelcontextprotocol.io/specification/2025-11-25/server/tools).

    Args:
        workflow: it.
        live: what the running ComfyUI has, where that is known: its lists of files are told then.
        media: the forms that a file may have.
    """
    bounds = {row.name: row.allowed for row in parameter_rows(workflow) if row.type in MEDIA_TYPES}
    title = shorter(workflow.title, _LONGEST_TITLE)
    return {
        "name": workflow.name,
        "title": title,
        "description": shorter("\n".join(_about(workflow)), _LONGEST_ABOUT),
        "inputSchema": arguments_schema(workflow.payload_schema(live), bounds, media=media),
        # It makes files and takes away none; another call makes another one; URLs that it is given are fetched.
        "annotations": {
            "title": title,
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": False,
            "openWorldHint": True,
        },
    }


def _about(workflow: Workflow) -> Iterator[str]:
    yield ". ".join(text.rstrip(". ") for text in (workflow.title, workflow.description) if text) + "."
    if makes := [f"{output.name} ({output.kind or 'file'})" for output in workflow.outputs]:
        yield f"Makes: {listed(dict.fromkeys(makes))}."
    for rule in workflow.rules:
        yield f"Must hold: {rule}."
    if workflow.gates.as_dict():
        yield "Its result is looked at, and made anew with another seed where it is found wanting."
    if workflow.timeout_seconds:
        yield f"Is given up after {workflow.timeout_seconds:g} s."
    for example in workflow.examples[:1]:
        payload = example_text(with_short_files(workflow, example.payload), _LONGEST_EXAMPLE)
        yield f"Example{f' ({example.title})' if example.title else ''}: {payload}"


def instructions(offer: Offer, *, simulated: bool, media: str) -> str:
    """What an agent is told of all the tools together.

    Args:
        offer: the tools.
        simulated: no ComfyUI is set.
        media: the forms that a file may have.
    """
    lines = [
        "Each tool is a ComfyUI workflow that makes pictures, videos, sounds or texts, and takes seconds to minutes.",
        f"Files among the arguments are given as {media}.",
        "The answer holds small pictures to look at, and tells where the whole files are. The seed in it makes the same"
        " result again. What is wrong with arguments is told for all of them at once.",
    ]
    if simulated:
        lines.append(SIMULATED)
    if offer.not_ready:
        names = listed(offer.not_ready, most=_MOST_NAMED)
        lines.append(f"Left out, since models or nodes are missing on this machine (engine describe NAME): {names}.")
    if offer.broken:
        lines.append(f"Left out, since they are broken (engine check NAME): {listed(offer.broken, most=_MOST_NAMED)}.")
    return "\n".join(lines)


SIMULATED = (
    "No ComfyUI is set up here: a simulator draws stand-ins, so the pictures show nothing of what was asked for."
)
