"""From a graph in UI format to one in API format."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken
from engine.documents import parse_json
from engine.errors import InvalidMap
from engine.graph import Graph, parse_graph
from engine.nodes import NodeCatalogue
from engine.ui_format.bounds import check
from engine.ui_format.notes import notes_on
from engine.ui_format.own_values import with_own_values
from engine.ui_format.prepared import as_it_was, prepared
from engine.ui_format.problems import ConverterMissing, NotConverted
from engine.ui_format.program import find_program, printed
from engine.ui_format.serving import serving, without_dynamic_prompts
from engine.wording import shorter

LONGEST_SECONDS = 60.0
"""An export of 100 nodes takes less than one."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of an export in UI format.

    Attributes:
        graph: in API format, checked by `engine.graph.parse_graph`. Nodes in subgraphs have ids such as `76:3`.
        notes: what its author ought to know of it.
    """

    graph: Graph
    notes: tuple[str, ...] = ()


class Converter:
    """Converts graphs by the node classes of one catalogue. May be used from several threads.

    Args:
        nodes: tells which value of a node is which: best that of the ComfyUI that will run the graphs.
        program: comfy-cli's executable; found where it is left out.
        seconds: how long a conversion may take.
    """

    def __init__(self, nodes: NodeCatalogue, *, program: Path | None = None, seconds: float = LONGEST_SECONDS) -> None:
        self._nodes = nodes
        self._program = program
        self._seconds = seconds

    def __call__(self, document: Mapping[str, Any], *, cancel: CancellationToken | None = None) -> Converted:
        """Convert a document in UI format.

        Args:
            document: as strict JSON gives it; it is left as it is.
            cancel: ends it.

        Raises:
            ConverterMissing: comfy-cli is not installed.
            NotConverted: the document is too large, or comfy-cli could not make a graph of it.
            Cancelled: the job was cancelled.
        """
        program = self._program or find_program()
        if program is None:
            raise ConverterMissing
        check(document)
        ready = prepared(document, self._nodes)
        workflow = json.dumps(ready).encode()
        with serving(self._object_info) as port:
            text = printed(program, workflow, port=port, seconds=self._seconds, cancel=cancel or CancellationToken())
        try:
            graph = with_own_values(as_it_was(parse_graph(_graph_in(text), label="")), ready)
        except InvalidMap as error:
            raise NotConverted(f"what comfy-cli made of it can't be used: {shorter(error.message, 500)}") from error
        return Converted(graph, tuple(notes_on(document, graph, self._nodes)))

    @functools.cached_property
    def _object_info(self) -> bytes:
        return without_dynamic_prompts(self._nodes.object_info)


def _graph_in(text: str) -> Any:
    """The graph in what comfy-cli printed: its last line is `{"ok": true, "data": {"prompt": {…}}}` (1.23)."""
    said = text.strip().rsplit("\n", 1)[-1]  # texts in it may hold other ends of lines
    try:
        envelope = parse_json(said, label="")
    except InvalidMap as error:
        raise NotConverted("comfy-cli gave an answer that can't be read", detail=shorter(said, 2000)) from error
    if isinstance(envelope, dict) and isinstance(envelope.get("error"), dict):
        raise NotConverted(f"comfy-cli refused it: {shorter(str(envelope['error'].get('message')), 500)}")
    data = envelope.get("data") if isinstance(envelope, dict) else None
    graph = data.get("prompt") if isinstance(data, dict) else None
    if not isinstance(graph, dict):
        raise NotConverted("comfy-cli gave an answer without a graph", detail=shorter(said, 2000))
    return graph
