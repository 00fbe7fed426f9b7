"""From ComfyUI's events to one number that only grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.comfyui.events import Event
from engine.results import Progress


class ProgressMeter:
    """Follows one execution.

    Each node that is not cached counts the same; within a node, its steps do. ComfyUI tells of steps with
    `progress` and, in newer versions, of all nodes with `progress_state`; nodes that a node made while it
    ran count as the node of the graph that they stand for.

    Args:
        graph: the rendered graph.
        report: called with each change, from the thread that executes.
    """

    def __init__(self, graph: Mapping[str, Any], report: Callable[[Progress], None] | None) -> None:
        self._classes = {node_id: str(node.get("class_type", "")) for node_id, node in graph.items()}
        self._report = report
        self._open: set[str] = set(self._classes)
        self._done: dict[str, float] = {}
        self._has_states = False
        self.latest = Progress(None, None, 0, 0, 0.0)

    def hear(self, event: Event) -> None:
        """Take in an event; any type may come."""
        match event.type:
            case "execution_cached":
                self._open.difference_update(event.data.get("nodes") or ())
            case "progress_state":
                self._has_states = True
                self._states(event.data.get("nodes") or {})
            case "progress":
                self._at(event.data.get("node"), event.data.get("value"), event.data.get("max"))
            case "executing":
                self._executing(event.data)

    def finish(self) -> None:
        """The whole graph is done."""
        self._tell(Progress(None, None, 0, 0, 1.0))

    def where(self) -> str:
        """Where it stands, for a message: `KSampler (3), step 4 of 20`."""
        if self.latest.node_id is None:
            return "no node had begun"
        text = f"{self.latest.node_class} ({self.latest.node_id})"
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
        step, steps = (int(value), int(maximum)) if maximum > 1 else (0, 0)
        self._tell(Progress(node_id, self._classes[node_id], step, steps, self._fraction()))

    def _fraction(self) -> float:
        if not self._open:
            return self.latest.fraction
        done = sum(self._done.get(node_id, 0.0) for node_id in self._open) / len(self._open)
        return max(self.latest.fraction, min(done, 1.0))

    def _tell(self, progress: Progress) -> None:
        if progress == self.latest:
            return
        self.latest = progress
        if self._report is not None:
            self._report(progress)

    def _known(self, *candidates: Any) -> str | None:
        for candidate in candidates:
            if isinstance(candidate, str) and candidate in self._classes:
                return candidate
        return None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
