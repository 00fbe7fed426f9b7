"""From ComfyUI's events to one number that only grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.comfyui.events import FRAME, Event
from engine.comfyui.frames import SENDING_CLASSES
from engine.comfyui.node_complaints import title_of
from engine.comfyui.previews import Previews
from engine.errors import node_name
from engine.graph import original_id
from engine.results import Progress

_MOST_STEPS = 1_000_000_000
"""More is nonsense, and no whole number that JSON readers agree on."""


class ProgressMeter:
    """Follows one execution. Whatever comes, in whichever order: the fraction is from 0 to 1 and never goes down.

    Each node that is not cached counts the same; within a node, its steps do. ComfyUI tells of steps with
    `progress` and, in newer versions, of all nodes with `progress_state`; nodes that a node made while it
    ran count as the node of the graph that they stand for. A copy that a repeat made is told of as the node that it is
    a copy of.

    Args:
        graph: the rendered graph.
        report: called with each change, from the thread that executes.
        floor: the fraction to begin at, for an execution that is tried again: the rest is shared out above it.
        previews: whether pictures of what nodes are at go with the progress; else they are not read. A picture stays
            with its node until a newer one comes, about one in a second: the same bytes are the same object.
    """

    def __init__(
        self,
        graph: Mapping[str, Any],
        report: Callable[[Progress], None] | None,
        *,
        floor: float = 0.0,
        previews: bool = False,
    ) -> None:
        self._classes = {node_id: str(node.get("class_type", "")) for node_id, node in graph.items()}
        self._titles = {node_id: title_of(node) for node_id, node in graph.items()}
        self._originals = {node_id: original_id(graph, node_id) for node_id in graph}
        self._report = report
        self._open: set[str] = set(self._classes)
        self._done: dict[str, float] = {}
        self._has_states = False
        self._floor = min(max(floor, 0.0), 1.0)
        self._previews = Previews() if previews else None
        self.latest = Progress(None, None, 0, 0, self._floor)

    def hear(self, event: Event) -> None:
        """Take in an event; any type may come, with anything in it."""
        match event.type:
            case "execution_cached":
                nodes = event.data.get("nodes")
                self._open.difference_update(each for each in _list(nodes) if isinstance(each, str))
            case "progress_state":
                self._has_states = True
                nodes = event.data.get("nodes")
                self._states(nodes if isinstance(nodes, Mapping) else {})
            case "progress":
                self._at(event.data.get("node"), event.data.get("value"), event.data.get("max"))
            case "executing":
                self._executing(event.data)
            case event_type if event_type == FRAME:
                self._see(event.data)

    def finish(self) -> None:
        """The whole graph is done."""
        self._tell(Progress(None, None, 0, 0, 1.0))

    def where(self) -> str:
        """Where it stands, for a message: `KSampler "Second pass" (3), step 4 of 20`."""
        node_id = self.latest.node_id
        if node_id is None:
            return "no node had begun"
        text = node_name(self._classes[node_id], self._originals[node_id], self._titles[node_id])
        return text + (f", step {self.latest.step} of {self.latest.steps}" if self.latest.steps > 1 else "")

    def _executing(self, data: Mapping[str, Any]) -> None:
        node_id = self._known(data.get("node"), data.get("display_node"))
        if node_id is None:
            return
        before = self.latest.node_id
        if not self._has_states and before not in {None, node_id}:
            self._done[str(before)] = 1.0  # older versions run one node after the other and say only this
        self._at(node_id, 0, 0)

    def _states(self, nodes: Mapping[str, Any]) -> None:
        running = None
        for key, state in nodes.items():
            if not isinstance(state, Mapping):
                continue
            own = key in self._classes
            node_id = self._known(key, state.get("display_node_id"))
            if node_id is None:
                continue
            if state.get("state") == "running":
                running = (node_id, *((state.get("value"), state.get("max")) if own else (0, 0)))
            elif own and state.get("state") == "finished":
                self._done[node_id] = 1.0
        if running:
            self._at(*running)

    def _see(self, data: Mapping[str, Any]) -> None:
        node_id = self.latest.node_id
        if self._previews is None or node_id is None or data.get("node") != node_id:
            return
        if self._classes[node_id] in SENDING_CLASSES:
            return  # a result
        if (picture := self._previews.take(data.get("picture"))) is not None:
            self._tell(replace(self.latest, preview=picture))

    def _at(self, node: Any, value: Any, maximum: Any) -> None:
        node_id = self._known(node)
        if node_id is None:
            return
        value, maximum = _number(value), _number(maximum)
        if maximum > 0:
            part = min(value / maximum, 1.0)
            self._done[node_id] = max(self._done.get(node_id, 0.0), part)
        elif self.latest.node_id == node_id:
            return  # it goes on: keep its steps
        steps = int(maximum) if 1 < maximum <= _MOST_STEPS else 0
        step = min(int(value), steps) if steps else 0
        preview = self.latest.preview if self.latest.node_id == node_id else None
        here = Progress(node_id, self._classes[node_id], step, steps, self._fraction(), self._titles[node_id], preview)
        self._tell(here)

    def _fraction(self) -> float:
        if not self._open:
            return self.latest.fraction
        done = sum(self._done.get(node_id, 0.0) for node_id in self._open) / len(self._open)
        return max(self.latest.fraction, min(self._floor + (1 - self._floor) * done, 1.0))

    def _tell(self, progress: Progress) -> None:
        if progress == self.latest:
            return
        self.latest = progress
        if self._report is not None:
            told = progress.node_id if progress.node_id is None else self._originals[progress.node_id]
            self._report(replace(progress, node_id=told))

    def _known(self, *candidates: Any) -> str | None:
        for candidate in candidates:
            if isinstance(candidate, str) and candidate in self._classes:
                return candidate
        return None


def _number(value: Any) -> float:
    """What counts as a number of steps: 0 for all that is none, and for less."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
