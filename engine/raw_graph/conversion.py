"""Whole graphs in UI format, converted where comfy-cli is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.cancellation import CancellationToken
from engine.errors import InvalidRequest, Problem
from engine.graph import Graph
from engine.nodes import NodeCatalogue

_SECONDS = 30.0
"""How long a caller's graph may take; one of 100 nodes takes less than one."""

_SEND_API = "in ComfyUI choose Workflow > Export (API) and send that file's content"


class UiGraphs:
    """Converts the graphs of one request.

    Args:
        nodes: gives the node classes of the ComfyUI that will run the graph, read anew where it is told to; asked only
            once it is known that there is something to convert and what to convert it with.
        cancel: ends a conversion.

    Attributes:
        notes: what the caller ought to know of the conversion.
    """

    def __init__(self, nodes: Callable[[bool], NodeCatalogue], cancel: CancellationToken | None = None) -> None:
        self._nodes = nodes
        self._cancel = cancel
        self.notes: tuple[str, ...] = ()

    def __call__(self, document: Mapping[str, Any]) -> Graph:
        """The graph in API format.

        Args:
            document: in UI format; a caller's, so nothing of it is trusted.

        Raises:
            InvalidRequest: it can't be converted, or not here.
            ComfyUnavailable: the node classes can't be had.
            Cancelled: the job was cancelled.
        """
        # Imported here: few workers ever get such a graph.
        from engine.ui_format import Converter, ConverterMissing, NotConverted, check, classes_of, find_program

        program = find_program()
        try:
            if program is None:
                raise ConverterMissing
            check(document)
            nodes = self._nodes(False)
            if not classes_of(document) <= set(nodes):
                nodes = self._nodes(True)  # a node pack may have come since
            converted = Converter(nodes, program=program, seconds=_SECONDS)(document, cancel=self._cancel)
        except ConverterMissing:
            message = "this is a UI-format export, and what converts those is not installed on this worker"
            hint = f"{_SEND_API}; or the operator installs the extra `ui`"
            raise InvalidRequest(problems=[Problem("workflow", message)], hint=hint) from None
        except NotConverted as error:
            message = f"this is a UI-format export, and could not be converted: {error.message}"
            raise InvalidRequest(
                problems=[Problem("workflow", message)], hint=_SEND_API, detail=error.detail or None
            ) from error
        self.notes = converted.notes
        return converted.graph
