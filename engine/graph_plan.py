"""What a job runs where its request brings a whole graph."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engine.callers_words import rejected
from engine.comfyui import Declared
from engine.comfyui.complaints import UNKNOWN_CLASS
from engine.errors import ComfyUnavailable, GraphRejected, OutOfMemory
from engine.gates import Gate, Gates
from engine.graph import Graph
from engine.known_nodes import nodes_with
from engine.live_nodes import LiveNodes
from engine.media import PictureBounds, Wanted
from engine.nodes import NodeCatalogue, load_catalogue
from engine.raw_graph import CUSTOM, sent_places, takes_pictures, with_files
from engine.readiness import Readiness
from engine.settings import Settings


class GraphPlan:
    """A whole graph, with the files that came with it.

    Args:
        graph: as `engine.raw_graph.parse_raw` gave it.
        sent: the files by the names that the graph calls them by.
        live: tells which inputs of nodes take files.

    Raises:
        InvalidRequest: two files go by one name in the graph.
    """

    name = CUSTOM
    version = ""
    timeout_seconds: float | None = None
    outputs: Sequence[Declared] = ()
    parameters: Sequence[str] = ()
    needed_outputs: Sequence[str] = ()  # who sends a graph gets what ComfyUI makes of it, and is told what is missing
    originals: Mapping[str, str] = MappingProxyType({})
    gates = Gates()  # what is good enough, only a map says
    open_seeds: Sequence[str] = ()

    def __init__(self, graph: Graph, sent: Mapping[str, Any], live: LiveNodes) -> None:
        self._graph = graph
        self._sent = sent
        self._live = live
        self._nodes = _nodes_of(graph, live) if sent else load_catalogue()
        self._places = sent_places(graph, sent, self._nodes) if sent else {}
        self.warnings: Sequence[str] = ()  # of the files, once they have their places in the graph

    @property
    def seeds(self) -> dict[str, int]:
        """None that we know of."""
        return {}

    def draw(self, names: Sequence[str]) -> None:
        """Nothing: it has none."""

    def applying_gates(self, *, job_id: str) -> Sequence[Gate]:  # noqa: ARG002 - it has none
        """None."""
        return ()

    def wanted(self, settings: Settings) -> list[Wanted]:
        """The files that came with the graph and that it uses."""
        found = []
        for name, value in self._sent.items():
            places = self._places[name]
            if not places:
                continue
            picture = all(takes_pictures(self._graph, each, self._nodes) for each in places)
            bounds = PictureBounds(settings.max_input_pixels, animated=True) if picture else None
            found.append(Wanted(where=name, kind="image" if picture else "file", value=value, bounds=bounds))
        return found

    def check_ready(self, readiness: Readiness) -> None:
        """Nothing: what a graph needs, its caller knows."""

    def settle(self, readiness: Readiness) -> None:
        """Nothing: ComfyUI checks the graph when it is queued."""

    def graph(self, names: Mapping[str, str], *, job_id: str, previews: bool) -> Graph:  # noqa: ARG002 - it is run whole
        """The graph, with the names that ComfyUI knows the files by."""
        if not self._sent:
            return self._graph
        # Those that nothing uses have no name in ComfyUI, and are warned of.
        graph, self.warnings = with_files(self._graph, {name: name for name in self._sent} | dict(names), self._nodes)
        return graph

    def values(self, names: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002 - a graph has no values
        """None."""
        return {}

    def in_the_callers_words(self, error: GraphRejected | OutOfMemory) -> GraphRejected | OutOfMemory:
        """By its nodes, as ComfyUI says it: they are the caller's own."""
        if isinstance(error, OutOfMemory):
            return error
        nodes = None
        if any(each.type in {UNKNOWN_CLASS, "value_not_in_list"} for each in error.complaints):
            with contextlib.suppress(ComfyUnavailable):
                nodes = self._live.get()
        return rejected(error, self._graph, nodes=nodes)


def _nodes_of(graph: Graph, live: LiveNodes) -> NodeCatalogue:
    """The node catalogue of the running ComfyUI, which knows its custom nodes; without one, what is known of it."""
    try:
        nodes = live.get()
        if any(node["class_type"] not in nodes for node in graph.values()):
            nodes = live.get(refresh=True)  # a node pack may have come since
    except ComfyUnavailable:
        return nodes_with(node["class_type"] for node in graph.values())
    return nodes
