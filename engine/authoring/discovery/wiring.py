"""A graph as the rules of discovery read it: who uses what, of which type, and what takes part. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.bindings import Place
from engine.graph import Graph, Link, as_link, links, needed_by
from engine.nodes import InputSpec, NodeCatalogue, NodeSpec

_DEEPEST = 20  # nodes in a row that hand on what they get, of whatever type
VALUE_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "NUMBER"})
_ANY = frozenset({"", "*", "COMFY_MATCHTYPE_V3"})
_TEXTS = frozenset({"prompt", "negative_prompt", "text", "positive_prompt"})
_WHEN_TRUE = frozenset({"on_true", "if_true", "true_value", "tt_value", "when_true"})
_WHEN_FALSE = frozenset({"on_false", "if_false", "false_value", "ff_value", "when_false"})
_CONDITIONS = ("switch", "boolean", "condition", "value", "bool")
# What takes something is told what it is, where the class that takes it is not known.
_TYPES_BY_NAME = (
    (re.compile(r"(\w+_)?(images?|frames|pixels)"), "IMAGE"),
    (re.compile(r"(\w+_)?masks?"), "MASK"),
    (re.compile(r"samples|latents?|latent_images?"), "LATENT"),
    (re.compile(r"(\w+_)?(audio|waveform)"), "AUDIO"),
    (re.compile(r"model"), "MODEL"),
    (re.compile(r"clip"), "CLIP"),
    (re.compile(r"vae"), "VAE"),
    (re.compile(r"(\w+_)?(embeds|embeddings)"), "EMBEDS"),
)
# Whose name speaks of text, and which makes something else of it.
_TAKES_TEXTS = re.compile(
    r"encod|embed|condition|(text|prompt)s?[ _-]?(to|2)[ _-]?(image|video|speech|audio|music|song|voice|3d|model|mesh)",
    re.IGNORECASE,
)
_MAKES_VALUES = re.compile(
    r"string|text|concat|join|primitive|prompt|number|(^|[^a-z])(int|integer|float|bool|boolean)([^a-z]|$)|seed|constant"
    r"|slider|math|switch|reroute",
    re.IGNORECASE,
)


def base_name(place: Place) -> str:
    """What an input is called without the name of the dynamic input before it: `resolution` of `model.resolution`."""
    return place.input_name.rsplit(".", 1)[-1].strip().lower().replace(" ", "_").replace("-", "_")


def _type_by_name(name: str) -> str:
    """The type that inputs of a name take; empty where it tells nothing."""
    if name in _TEXTS:
        return "STRING"
    return next((told for pattern, told in _TYPES_BY_NAME if pattern.fullmatch(name)), "")


class Wiring:
    """A graph with its links read both ways.

    Args:
        graph: checked by `engine.graph.parse_graph`.
        nodes: the node catalogue; what it lacks is told by the classes' neighbours.
        ends: the output nodes that are returned; nothing but what they need is looked at.
    """

    def __init__(self, graph: Graph, nodes: NodeCatalogue, ends: tuple[str, ...]) -> None:
        self.graph = graph
        self.nodes = nodes
        self.needed = needed_by(graph, ends)
        self.users: dict[str, list[tuple[Place, int]]] = {}
        for node_id in graph:
            if node_id in self.needed:
                for name, (source, index) in links(graph[node_id]):
                    self.users.setdefault(source, []).append((Place(node_id, name), index))
        self.active = self._active(ends)
        self.position = self._positions(ends)
        self._inferred: dict[str, dict[int, str]] = {}

    def class_of(self, node_id: str) -> str:
        """The class of a node."""
        return str(self.graph[node_id]["class_type"])

    def known(self, node_id: str) -> NodeSpec | None:
        """The specification of a node's class; None where the catalogue lacks it."""
        return self.nodes.get(self.class_of(node_id))

    def spec(self, place: Place) -> InputSpec | None:
        """The specification of an input; None where it is not known."""
        return self.nodes.input(self.class_of(place.node_id), place.input_name)

    def inputs(self, node_id: str) -> Mapping[str, Any]:
        """The inputs of a node, by name."""
        inputs: Mapping[str, Any] = self.graph[node_id].get("inputs", {})
        return inputs

    def link(self, place: Place) -> Link | None:
        """The link an input holds."""
        return as_link(self.inputs(place.node_id).get(place.input_name))

    def value(self, place: Place) -> Any:
        """The literal an input holds; None where it holds a link or nothing."""
        value = self.inputs(place.node_id).get(place.input_name)
        return None if as_link(value) else value

    def literals(self) -> Iterator[tuple[Place, Any]]:
        """The texts, numbers and truth values that the outputs need, what is first computed first."""
        for node_id in sorted(self.needed, key=lambda each: self.position[each]):
            for name, value in self.inputs(node_id).items():
                if isinstance(value, str | int | float):
                    yield Place(node_id, name), value

    def linked_types(self, node_id: str) -> set[str]:
        """The types of what is linked to a node, as far as they are known."""
        found = set()
        for name, (source, index) in links(self.graph[node_id]):
            found.add(
                self.output_type(source, index) or (spec.type if (spec := self.spec(Place(node_id, name))) else "")
            )
        return found

    def output_type(self, node_id: str, index: int) -> str:
        """The type of an output, told by who uses it where the class does not; empty where nothing tells."""
        spec = self.known(node_id)
        own = spec.outputs[index] if spec and 0 <= index < len(spec.outputs) else ""
        return self._type_by_users(node_id).get(index, "") or self._type_by_links(node_id) if own in _ANY else own

    def used_types(self, node_id: str) -> set[str]:
        """The types of the outputs that are used."""
        return {self.output_type(node_id, index) for _, index in self.users.get(node_id, ())}

    def makes_values(self, node_id: str) -> bool:
        """Whether what is used of a node is texts and numbers alone."""
        types = self.used_types(node_id)
        if not types or types - VALUE_TYPES - _ANY:
            return False
        class_type = self.class_of(node_id)
        return bool(types & VALUE_TYPES) or bool(
            _MAKES_VALUES.search(class_type) and not _TAKES_TEXTS.search(class_type)
        )

    def is_source(self, node_id: str) -> bool:
        """Whether a node gives values and is linked to nothing."""
        return self.makes_values(node_id) and not any(True for _ in links(self.graph[node_id]))

    def branches(self, node_id: str) -> tuple[str, str, str] | None:
        """The inputs of a node that hands on one of two: what decides, when true, when false."""
        inputs = self.inputs(node_id)
        when_true = next((name for name in inputs if name in _WHEN_TRUE), None)
        when_false = next((name for name in inputs if name in _WHEN_FALSE), None)
        decides = next((name for name in _CONDITIONS if name in inputs), None)
        return (decides, when_true, when_false) if decides and when_true and when_false else None

    def _truth(self, place: Place, depth: int = 0) -> bool | None:
        """What decides a switch, where it is written in the graph."""
        link = self.link(place)
        if link is None:
            value = self.value(place)
            return value if isinstance(value, bool) else None
        inputs = self.inputs(link[0])
        return (
            self._truth(Place(link[0], next(iter(inputs))), depth + 1)
            if len(inputs) == 1 and depth < _DEEPEST
            else None
        )

    def off_branch(self, node_id: str) -> str | None:
        """The input of a switch that its own literal turns off."""
        found = self.branches(node_id)
        decided = self._truth(Place(node_id, found[0])) if found else None
        return None if found is None or decided is None else found[2] if decided else found[1]

    def _active(self, ends: tuple[str, ...]) -> set[str]:
        """What takes part as the graph stands: switches hand on one side alone."""
        waiting = [node_id for node_id in ends if node_id in self.graph]
        active = set(waiting)
        while waiting:
            node_id = waiting.pop()
            off = self.off_branch(node_id)
            for name, (source, _) in links(self.graph[node_id]):
                if name != off and source not in active:
                    active.add(source)
                    waiting.append(source)
        return active

    def _positions(self, ends: tuple[str, ...]) -> dict[str, int]:
        """The order of computing: what a node needs stands before it, what takes most steps to make first of all.

        So the stages of a picture follow one another, each with its own loaders before it.
        """
        steps: dict[str, int] = {}
        for node_id in self._order(ends, steps):
            steps[node_id] = 1 + max((steps.get(source, 0) for _, (source, _) in links(self.graph[node_id])), default=0)
        return self._order(ends, steps)

    def _order(self, ends: tuple[str, ...], steps: Mapping[str, int]) -> dict[str, int]:
        order: dict[str, int] = {}

        def following(node_id: str) -> Iterator[tuple[str, Link]]:
            return iter(sorted(links(self.graph[node_id]), key=lambda link: -steps.get(link[1][0], 0)))

        for end in (*ends, *self.graph):
            if end not in self.needed:
                continue
            stack: list[tuple[str, Iterator[tuple[str, Link]]]] = []
            if end not in order:
                stack.append((end, following(end)))
            entered = {end}
            while stack:
                node_id, sources = stack[-1]
                step = next((link[0] for _, link in sources if link[0] not in order and link[0] not in entered), None)
                if step is None:
                    stack.pop()
                    order.setdefault(node_id, len(order))
                elif step in self.graph:
                    entered.add(step)
                    stack.append((step, following(step)))
        return order

    def _type_by_users(self, node_id: str) -> dict[int, str]:
        if node_id not in self._inferred:
            found: dict[int, str] = {}
            self._inferred[node_id] = found
            for place, index in self.users.get(node_id, ()):
                spec = self.spec(place)
                told = spec.type if spec else ""
                if told in _ANY and self.known(place.node_id) and spec is not None:
                    told = self._type_handed_on(place)
                if self.known(place.node_id) is None:
                    told = _type_by_name(base_name(place))
                if told not in _ANY and "," not in told:
                    found.setdefault(index, told)
        return self._inferred[node_id]

    def _type_by_links(self, node_id: str, depth: int = 0) -> str:
        """The type that a node of any type hands on, as what is linked to it tells."""
        types = set()
        for name, (source, index) in links(self.graph[node_id]) if self.known(node_id) and depth < _DEEPEST else ():
            spec, made_by = self.spec(Place(node_id, name)), self.known(source)
            if spec is not None and spec.type in _ANY:
                own = made_by.outputs[index] if made_by and 0 <= index < len(made_by.outputs) else ""
                types.add(self._type_by_links(source, depth + 1) if own in _ANY else own)
        return types.pop() if len(types) == 1 else ""

    def _type_handed_on(self, place: Place) -> str:
        """The type of the single output of a node that takes anything, as its users tell."""
        types = self.used_types(place.node_id)
        return next(iter(types)) if len(types) == 1 else ""
