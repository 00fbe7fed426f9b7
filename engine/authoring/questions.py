"""Asking the author what the graph does not tell, one short question after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from engine.authoring.draft import Draft, Question
from engine.authoring.references import nodes_named, places_of
from engine.authoring.summary import classes_at, row, rows
from engine.authoring.trimming import combined, with_name, without
from engine.graph import Graph
from engine.nodes import NodeCatalogue
from engine.schema import PARAMETER_NAME, RESERVED_NAMES
from engine.wording import did_you_mean

Ask: TypeAlias = Callable[[str], str]
"""Shows a question and gives the answer, without spaces around it; raises where there is none."""

Say: TypeAlias = Callable[[str], None]


class Interview:
    """The questions about one draft.

    Args:
        graph: its template.
        nodes: the node catalogue.
        ask: shows a question, gives the answer.
        say: shows a line.
    """

    def __init__(self, graph: Graph, nodes: NodeCatalogue, *, ask: Ask, say: Say) -> None:
        self._graph = graph
        self._nodes = nodes
        self._ask = ask
        self.say = say

    def agrees(self, text: str) -> bool:
        """Whether the author says yes; Enter alone is no."""
        return self._ask(f"{text} [y/N] ").lower() in {"y", "yes"}

    def answered(self, draft: Draft) -> dict[str, Any]:
        """The map that the answers make of a draft; Enter alone leaves everything as it was proposed."""
        document = draft.document
        for question in draft.questions:
            document = self._answer(document, question)
        document = self._more(document, draft.left_out)
        return self._trimmed(document)

    def _answer(self, document: dict[str, Any], question: Question) -> dict[str, Any]:
        self.say(question.text)
        for number, option in enumerate(question.options, start=1):
            self.say(f"  {number}  {option.label}")
        while answer := self._ask("A number, or Enter to leave it open: "):
            if answer.isdecimal() and 1 <= int(answer) <= len(question.options):
                return combined(document, question.options[int(answer) - 1].adds)
            self.say(f"There is no answer {answer}.")
        return document

    def _more(self, document: dict[str, Any], left_out: Mapping[str, Any]) -> dict[str, Any]:
        open_ones = {name: each for name, each in left_out.items() if name not in document["parameters"]}
        if not open_ones:
            return document
        self.say("Also found:")
        for name, parameter in open_ones.items():
            self.say(f"  {row(name, parameter, document, self._graph, self._nodes)}")
        while answer := self._ask("Names to add, * for all, or Enter for none: "):
            names = list(open_ones) if answer == "*" else answer.replace(",", " ").split()
            unknown = [name for name in names if name not in open_ones]
            if not unknown:
                chosen = {name: open_ones[name] for name in names}
                return with_parameters(document, chosen, self._graph, self._nodes)
            self.say(f"{unknown[0]} was not found{did_you_mean(unknown[0], open_ones)}.")
        return document

    def _trimmed(self, document: dict[str, Any]) -> dict[str, Any]:
        self.say("For each parameter: Enter keeps it, - drops it, another name renames it, . keeps all that follow.")
        for each in rows(document, self._graph, self._nodes):
            if each.name not in document["parameters"]:
                continue  # it went with another
            answer = self._choice(f"{each} ", {name for name in document["parameters"] if name != each.name})
            if answer == ".":
                break
            if answer == "-":
                document, also = without(document, [each.name])
                for lost in also:
                    self.say(f"  goes with it: {lost}")
            elif answer:
                document = with_name(document, each.name, answer)
        return with_expected(document)

    def _choice(self, text: str, taken: set[str]) -> str:
        while True:
            answer = self._ask(text)
            if answer in {"", "-", "."}:
                return answer
            if not PARAMETER_NAME.fullmatch(answer):
                self.say(f'"{answer}" is no name for a parameter: a-z first, then a-z, 0-9 and _')
            elif answer in RESERVED_NAMES:
                self.say(f'the name "{answer}" is reserved for expressions; choose another')
            elif answer in taken:
                self.say(f'there is a parameter "{answer}" already')
            else:
                return answer


def with_parameters(
    document: Mapping[str, Any], parameters: Mapping[str, Any], graph: Graph, nodes: NodeCatalogue
) -> dict[str, Any]:
    """The map with more parameters, and the classes of their nodes under `expects` where the map has that."""
    adds: dict[str, Mapping[str, Any]] = {"parameters": parameters}
    if "expects" in document:
        places = [place for each in parameters.values() for place in places_of(each, graph, nodes)]
        adds["expects"] = classes_at(places, graph)
    return combined(document, adds)


def with_expected(document: dict[str, Any]) -> dict[str, Any]:
    """The map, its `expects` without nodes that nothing else in it names."""
    if "expects" not in document:
        return document
    named = nodes_named({key: value for key, value in document.items() if key != "expects"})
    return {**document, "expects": {key: kind for key, kind in document["expects"].items() if key in named}}
