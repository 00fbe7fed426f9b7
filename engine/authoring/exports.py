"""Reading what ComfyUI exported: a graph in API or UI format, or a file that carries one."""

from __future__ import annotations

import codecs
import functools
import json
from pathlib import PurePath
from typing import Any, TypeAlias

from engine.authoring import app_mode
from engine.authoring.draft import AppMode, Export
from engine.authoring.embedded import Carried, carried_by
from engine.documents import parse_json
from engine.errors import InvalidMap, Problem
from engine.graph import Graph, parse_graph
from engine.job_names import without_job_names
from engine.known_nodes import known_nodes
from engine.names import plain_name
from engine.ui_format import Converter, NotConverted, is_ui_format
from engine.wording import kind_of, listed, shown

_EXPORT = "in ComfyUI choose Workflow > Export (API), and take that file"

# What stands beside or around a graph in a request: to ComfyUI's /prompt, to a worker, or in a RunPod job.
_AROUND = ("input", "prompt", "workflow")

_Found: TypeAlias = tuple[Any, list[str]]
"""A document, and the keys it stood under."""


def read_export(data: bytes, *, name: str, convert: Converter | None = None) -> Export:
    """Read an export.

    Args:
        data: an export in API or UI format, also within a request (`{"prompt": …}`, `{"input": {"workflow": …}}`), or
            a picture, film or sound in which ComfyUI wrote its graph.
        name: the file's; it names the workflow, and messages call the file by it. `-` or nothing where it has none.
        convert: converts UI format; left out, by the node catalogue that comes with the engine.

    Raises:
        InvalidMap: it is none of these, or can't be converted; with what was found and what to do.
    """
    label = name if name not in ("", "-") else "the export"
    stem = plain_name(PurePath(name).stem, otherwise="").lstrip("-_") if name != "-" else ""
    reader = _Reader(label, stem, convert or _by_the_bundled_nodes())
    carried = carried_by(data, label=label)
    return reader.embedded(carried) if carried else reader.document(data)


@functools.cache
def _by_the_bundled_nodes() -> Converter:
    return Converter(known_nodes())


class _Reader:
    """Reads one file."""

    def __init__(self, label: str, stem: str, convert: Converter) -> None:
        self._label = label
        self._stem = stem
        self._convert = convert

    def document(self, data: bytes) -> Export:
        """A JSON text."""
        text, told = self._text(data)
        document, keys = self._unwrapped(parse_json(text, label=self._label))
        notes = [told] if told else []
        if keys:
            notes.append(f"the graph stood under {' > '.join(map(shown, keys))}; the template is that graph alone")
        if is_ui_format(document):
            return self._converted(document, notes)
        graph = self._graph(document)
        return Export(graph, _written(graph) if notes else data, self._stem, notes=tuple(notes))

    def embedded(self, carried: Carried) -> Export:
        """The graph in a media file: as it was queued where that is there, else as the editor had it."""
        workflow = carried.graphs.get("workflow")
        notes = [f"the graph is the one that this {carried.kind} file was made with"]
        if "prompt" not in carried.graphs:
            notes[0] = f"the graph is the editor's, as this {carried.kind} file carries it"
            return self._converted(self._embedded_document(workflow or ""), notes)
        queued = self._graph(_as_queued(self._embedded_document(carried.graphs["prompt"])))
        graph = without_job_names(queued)
        if graph != queued:
            notes.append("this engine ran it: the job's own folder was taken out of its names")
        choice = self._choice_of_queued(workflow, graph, notes) if workflow else None
        return Export(graph, _written(graph), self._stem, app_mode=choice, notes=tuple(notes))

    def _choice_of_queued(self, workflow: str, graph: Graph, notes: list[str]) -> AppMode | None:
        """What was chosen in App mode, where the editor's graph tells it: the ids are the same in both."""
        try:
            document = self._embedded_document(workflow)
            return app_mode.chosen(document, graph) if is_ui_format(document) else None
        except (InvalidMap, NotConverted) as error:
            notes.append(f"the editor's own graph in it can't be read: {error.message}")
            return None

    def _converted(self, document: Any, notes: list[str]) -> Export:
        if not is_ui_format(document):
            raise self._refused(_what(document), hint=_EXPORT)
        try:
            converted = self._convert(document)
            choice = app_mode.chosen(document, converted.graph)
        except NotConverted as error:
            raise InvalidMap(
                problems=[Problem("", error.message, file=self._label)], hint=error.hint, detail=error.detail or None
            ) from error
        return Export(
            converted.graph,
            _written(converted.graph),
            self._stem,
            converted=True,
            app_mode=choice,
            notes=(*notes, *converted.notes),
        )

    def _text(self, data: bytes) -> tuple[str, str]:
        """The text, and what is to be said of how it was written."""
        told = ""
        try:
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                text = data.decode("utf-16")
                told = "the file is UTF-16, as some shells write it; the template is UTF-8"
            else:
                text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            message = "is neither JSON nor a picture, film or sound that ComfyUI writes graphs into"
            raise self._refused(message, hint=_EXPORT) from None
        if not text.strip():
            raise self._refused("is empty", hint=_EXPORT)
        return text, told

    def _embedded_document(self, text: str) -> Any:
        """A graph that was written by Python, which writes NaN where a node's own check gave it (`is_changed`)."""
        try:
            return parse_json(text, label=self._label)
        except InvalidMap:
            # A number that is none means nothing to a graph: null stands for it, as in the editor.
            try:
                document = json.loads(text, parse_constant=lambda _: None)
            except (ValueError, RecursionError):
                document = None
            if document is None:
                raise
            return parse_json(json.dumps(document), label=self._label)

    def _unwrapped(self, document: Any) -> _Found:
        keys: list[str] = []
        while isinstance(document, dict) and not is_ui_format(document):
            key = next((key for key in _AROUND if _is_around(document, key)), None)
            if key is None:
                break
            document = document[key]
            if isinstance(document, str):
                document = parse_json(document.removeprefix("\ufeff"), label=self._label)
            keys.append(key)
        return document, keys

    def _graph(self, document: Any) -> Graph:
        if not isinstance(document, dict) or not any(_is_node(node) for node in document.values()):
            raise self._refused(_what(document), hint=_EXPORT)
        try:
            graph = parse_graph(document, label=self._label)
        except InvalidMap as error:
            raise InvalidMap(problems=error.problems, hint=_EXPORT) from None
        if without := [node_id for node_id, node in graph.items() if "inputs" not in node]:
            raise self._refused(f"nodes without inputs: {listed(without)}", hint=_EXPORT)
        return graph

    def _refused(self, message: str, *, hint: str) -> InvalidMap:
        return InvalidMap(problems=[Problem("", message, file=self._label)], hint=hint)


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and "class_type" in value


def _is_around(document: dict[str, Any], key: str) -> bool:
    """Whether a graph may stand below a key, and it is not one of whose nodes has that id."""
    inner = document.get(key)
    if any(_is_node(value) for value in document.values()):
        return False
    return isinstance(inner, dict) or (isinstance(inner, str) and inner.lstrip("\ufeff \t\r\n").startswith("{"))


def _what(document: Any) -> str:
    """What a document is that is no export."""
    if isinstance(document, list):
        nodes = any(isinstance(each, dict) and each.keys() & {"class_type", "type"} for each in document)
        return "this is a list of nodes, without their links" if nodes else "an export is a JSON object, not an array"
    if not isinstance(document, dict):
        return f"an export is a JSON object, not {kind_of(document)}"
    if isinstance(document.get("workflow"), str):
        return f"this is a request that names the workflow {shown(document['workflow'])}; it holds no graph"
    if isinstance(document.get("parameters"), dict):
        return "this is a parameter map; the graph belongs to it, and stands in templates/"
    if not document:
        return "the graph has no nodes"
    return f"this is no graph: no node has a class_type; its keys are: {listed(document, most=8)}"


def _as_queued(document: Any) -> Any:
    """Without what ComfyUI adds to the nodes of a graph that it runs."""
    if not isinstance(document, dict):
        return document
    return {
        node_id: {key: value for key, value in node.items() if key != "is_changed"} if isinstance(node, dict) else node
        for node_id, node in document.items()
    }


def _written(graph: Graph) -> bytes:
    """A graph as ComfyUI writes an export."""
    return (json.dumps(graph, indent=2, ensure_ascii=False) + "\n").encode()
