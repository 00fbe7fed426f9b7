"""Graphs in UI format (what ComfyUI's editor saves) as graphs in API format (what a ComfyUI runs).

comfy-cli converts them, a program of its own (the extra `ui`); no ComfyUI is needed. What it needs to know of the node
classes is served to it from a node catalogue.
"""

from __future__ import annotations

from engine.ui_format.bounds import check
from engine.ui_format.converter import Converted, Converter
from engine.ui_format.places import ExportNode, ExportNodes
from engine.ui_format.problems import ConverterMissing, NotConverted
from engine.ui_format.program import find_program
from engine.ui_format.reading import classes_of, is_ui_format

__all__ = [
    "Converted",
    "Converter",
    "ConverterMissing",
    "ExportNode",
    "ExportNodes",
    "NotConverted",
    "check",
    "classes_of",
    "find_program",
    "is_ui_format",
]
