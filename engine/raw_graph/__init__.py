"""Whole graphs that come in a request, and the files sent along with them. Pure."""

from __future__ import annotations

from engine.raw_graph.conversion import UiGraphs
from engine.raw_graph.files import media_places, sent_places, takes_pictures, with_files
from engine.raw_graph.parsing import parse_raw
from engine.raw_graph.requests import CUSTOM, brings_graph, graph_document

__all__ = [
    "CUSTOM",
    "UiGraphs",
    "brings_graph",
    "graph_document",
    "media_places",
    "parse_raw",
    "sent_places",
    "takes_pictures",
    "with_files",
]
