"""What the steps of `engine add` hand on: an export, and the parameter map that is proposed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.bindings import Place
from engine.graph import Graph


@dataclass(frozen=True, slots=True)
class AppMode:
    """What the author chose in ComfyUI's App mode (`extra.linearData` of an export in UI format).

    Attributes:
        inputs: the places of the API graph, in the author's order, each with the name it was given there; empty where
            it has none.
        outputs: the ids of the output nodes, in the author's order.
        lost: what was chosen and is in no place of the API graph, for people.
    """

    inputs: tuple[tuple[Place, str], ...] = ()
    outputs: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """A graph as it was exported, in API format.

    Attributes:
        graph: checked by `engine.graph.parse_graph`.
        text: what becomes the template: the file's own bytes where they are an API export, else the graph as JSON.
        stem: a name for the workflow, made of the file's; empty where there is none to take it from.
        converted: it came in UI format.
        app_mode: what the author chose in App mode, where there is such a choice.
        notes: what its author ought to know of the conversion.
    """

    graph: Graph
    text: bytes
    stem: str
    converted: bool = False
    app_mode: AppMode | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to a question.

    Attributes:
        label: the answer, in a few words.
        adds: what it adds to the map: section to key to value, `{"parameters": {"prompt": {…}}}`. An entry that is
            there already is replaced.
    """

    label: str
    adds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """What the graph does not tell, and only its author can.

    Attributes:
        text: the question, for people, with the nodes it is about.
        options: the answers; the map stands as it is without one.
    """

    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A parameter map that was made for a graph.

    Attributes:
        document: the map as JSON, its keys in the order they are to be written in, its parameters in the order of
            their importance to a caller.
        questions: what is ambiguous; nothing of it was guessed.
        left_out: parameters that were found and are not in the map, as the map would have them, the most important
            first: `{"name": {…}}`.
        notes: what its author ought to know.
    """

    document: dict[str, Any]
    questions: tuple[Question, ...] = ()
    left_out: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
