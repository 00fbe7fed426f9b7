"""What a job runs, and the usual case of it: a named workflow with its payload. `engine.graph_plan` is the other."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.callers_words import out_of_memory, rejected
from engine.comfyui import Declared
from engine.errors import ComfyUnavailable, GraphRejected, InvalidPayload, OutOfMemory
from engine.gates import Gate, Gates
from engine.graph import Graph
from engine.live_nodes import LiveNodes
from engine.media import PictureBounds, Wanted
from engine.nodes import NodeCatalogue
from engine.readiness import Readiness
from engine.schema import MediaParameter, PictureParameter
from engine.settings import Settings
from engine.value_schemas import RANDOM_SEED
from engine.wording import shown
from engine.workflow import Workflow

_NO_LISTS = NodeCatalogue({}, live=True)


class Plan(Protocol):
    """What one job runs. What can be known before ComfyUI is asked was checked when it was made."""

    @property
    def name(self) -> str:
        """The workflow's name, for results."""

    @property
    def version(self) -> str:
        """Of the workflow."""

    @property
    def timeout_seconds(self) -> float | None:
        """How long its author allows it to run."""

    @property
    def outputs(self) -> Sequence[Declared]:
        """What is returned of it; none for all that there is."""

    @property
    def parameters(self) -> Sequence[str]:
        """The names of its values."""

    @property
    def warnings(self) -> Sequence[str]:
        """What may be wrong, for the caller."""

    @property
    def needed_outputs(self) -> Sequence[str]:
        """The output nodes without which the job has failed, as the rendered graph names them."""

    @property
    def originals(self) -> Mapping[str, str]:
        """The nodes of the rendered graph that are copies, to the node of the template."""

    @property
    def gates(self) -> Gates:
        """What a result must be like, whatever the values."""

    @property
    def seeds(self) -> dict[str, int]:
        """The seeds that another try could draw anew, as they are now."""

    @property
    def open_seeds(self) -> Sequence[str]:
        """Those of them that the caller left to be drawn."""

    def draw(self, names: Sequence[str]) -> None:
        """Draw these seeds anew.

        Raises:
            InvalidPayload: a rule of the workflow refuses what was drawn.
        """

    def applying_gates(self, *, job_id: str) -> Sequence[Gate]:
        """What a result of these values must pass.

        Raises:
            RenderFailed: what decides on it can't be computed.
        """

    def wanted(self, settings: Settings) -> list[Wanted]:
        """The media values that are to be read, with their bounds."""

    def check_ready(self, readiness: Readiness) -> None:
        """Check that what the job needs is there.

        Raises:
            WorkflowNotReady: it is not.
        """

    def settle(self, readiness: Readiness) -> None:
        """Check what only the running ComfyUI can tell.

        Raises:
            WorkflowNotReady: what the job needs is missing, such as a node class.
            InvalidPayload: a choice is none that it has.
            ComfyUnavailable: it does not answer.
        """

    def graph(self, names: Mapping[str, str], *, job_id: str, previews: bool) -> Graph:
        """The graph to queue.

        Args:
            names: what ComfyUI knows each wanted file by.
            job_id: the job's.
            previews: keep nodes that only preview something.

        Raises:
            RenderFailed: the workflow's expressions can't be computed.
        """

    def values(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The values as results report them: files by their names alone."""

    def in_the_callers_words(self, error: GraphRejected | OutOfMemory) -> GraphRejected | OutOfMemory:
        """ComfyUI's complaints, each under what the caller can change."""


class NamedPlan:
    """A workflow of the catalog.

    Args:
        workflow: the workflow.
        payload: as it was sent.
        sent: the files that came with it, by name.
        live: the running ComfyUI's lists.

    Raises:
        InvalidPayload: with every problem that can be told without ComfyUI.
    """

    def __init__(self, workflow: Workflow, payload: Any, sent: Mapping[str, Any], live: LiveNodes) -> None:
        self.workflow = workflow
        self._payload = payload
        self._live = live
        self._values = self._offline()
        self._rendered: Graph = {}
        used = {each.value.strip() for each in workflow.media_values(self._values) if isinstance(each.value, str)}
        self.warnings: Sequence[str] = [
            f"the sent file {shown(name)} was not used: no parameter of the payload names it"
            for name in sent
            if name not in used
        ]

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.workflow.name

    @property
    def version(self) -> str:
        """Of its parameter map."""
        return self.workflow.version

    @property
    def timeout_seconds(self) -> float | None:
        """As the map says."""
        return self.workflow.timeout_seconds

    @property
    def outputs(self) -> Sequence[Declared]:
        """As the map declares them."""
        if not self.workflow.declares_outputs:
            return []
        return [(output.name, output.node_id, output.kind) for output in self.workflow.outputs]

    @property
    def needed_outputs(self) -> Sequence[str]:
        """All that the workflow returns: who asks for it by name knows of no part that could be left out."""
        returned = {output.node_id for output in self.workflow.outputs}
        return [node_id for node_id in self._rendered if self.workflow.original_of(node_id) in returned]

    @property
    def originals(self) -> Mapping[str, str]:
        """What repeats copied."""
        named = {node_id: self.workflow.original_of(node_id) for node_id in self._rendered}
        return {node_id: original for node_id, original in named.items() if original != node_id}

    @property
    def parameters(self) -> Sequence[str]:
        """The parameters' names."""
        return list(self.workflow.parameters)

    @property
    def gates(self) -> Gates:
        """As the map says."""
        return self.workflow.gates

    @property
    def seeds(self) -> dict[str, int]:
        """Those that have a value; one may be null."""
        values = {name: self._values[name] for name in self.gates.seeds}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def open_seeds(self) -> Sequence[str]:
        """Those that the payload leaves out, or asks to have drawn."""
        return [name for name in self.seeds if self._payload.get(name, RANDOM_SEED) == RANDOM_SEED]

    def draw(self, names: Sequence[str]) -> None:
        """Draw these seeds anew."""
        self._values = self.workflow.with_seeds_drawn(self._values, names)

    def applying_gates(self, *, job_id: str) -> Sequence[Gate]:
        """Those that these values ask for."""
        return self.workflow.applying_gates(self._values, job_id=job_id)

    def wanted(self, settings: Settings) -> list[Wanted]:
        """The payload's media values."""
        return [
            Wanted(
                where=each.where,
                kind=each.parameter.type,
                value=each.value,
                max_bytes=each.parameter.max_bytes,
                bounds=_bounds(each.parameter, settings),
            )
            for each in self.workflow.media_values(self._values)
        ]

    def check_ready(self, readiness: Readiness) -> None:
        """Its models and node classes, as far as this payload needs them."""
        readiness.check(self.workflow, self._values)

    def settle(self, readiness: Readiness) -> None:
        """Check the needs, and the payload against the lists, of the running ComfyUI."""
        known = self._live.known
        try:
            live = self._live.get()
        except ComfyUnavailable:
            self.workflow.validate(self._payload)
            raise
        self.check_ready(readiness)
        try:
            self._values = self.workflow.validate(self._payload, live)
        except InvalidPayload:
            # A choice is wrong, all else was fine before; a file that came since the lists were read is one as well.
            if known is None:
                raise
            with contextlib.suppress(ComfyUnavailable):
                live = self._live.get(refresh=True)
            self._values = self.workflow.validate(self._payload, live)

    def graph(self, names: Mapping[str, str], *, job_id: str, previews: bool) -> Graph:
        """The rendered template."""
        self._rendered = self.workflow.render(self._values, names, job_id=job_id, previews=previews)
        return self._rendered

    def values(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The values, with the seeds that were drawn."""
        return self.workflow.without_media(self._values, names)

    def in_the_callers_words(self, error: GraphRejected | OutOfMemory) -> GraphRejected | OutOfMemory:
        """ComfyUI's complaints, each under the parameters that decide what it complains of."""
        if isinstance(error, OutOfMemory):
            return out_of_memory(error, self.workflow)
        return rejected(error, self._rendered, workflow=self.workflow, nodes=self._live.known)

    def _offline(self) -> dict[str, Any]:
        """The values, choices unseen: what is wrong with the payload is told before a ComfyUI is started."""
        try:
            return self.workflow.validate(self._payload, _NO_LISTS)
        except InvalidPayload:
            self.workflow.validate(self._payload, self._live.known)  # tells wrong choices as well
            raise


def _bounds(parameter: MediaParameter, settings: Settings) -> PictureBounds | None:
    if not isinstance(parameter, PictureParameter):
        return None
    return PictureBounds(
        max_pixels=min(settings.max_input_pixels, parameter.max_pixels or settings.max_input_pixels),
        animated=parameter.animated,
        min_side=parameter.min_side,
        aspect_ratio=parameter.aspect_bounds,
        resize_to=parameter.resize_to,
    )
