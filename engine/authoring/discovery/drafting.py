"""A parameter map for a graph. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.authoring.discovery.chosen import chosen
from engine.authoring.discovery.examples import example_of
from engine.authoring.discovery.fields import CFG, STEPS
from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.loras import lora_candidates, slot_candidates
from engine.authoring.discovery.media import address_candidates, media_candidates
from engine.authoring.discovery.models import model_candidates, required_models
from engine.authoring.discovery.outputs import declared_outputs, output_nodes
from engine.authoring.discovery.prompts import prompt_candidates, texts_of
from engine.authoring.discovery.questions import questions_of
from engine.authoring.discovery.selection import selected
from engine.authoring.discovery.settings import setting_candidates, settings_of
from engine.authoring.discovery.wiring import Wiring
from engine.authoring.draft import AppMode, Draft
from engine.errors import Problem, WorkflowError
from engine.graph import Graph
from engine.map_file import parse_map
from engine.nodes import NodeCatalogue
from engine.workflow import Workflow

_TRIES = 40


def draft_map(graph: Graph, nodes: NodeCatalogue, *, title: str = "", app_mode: AppMode | None = None) -> Draft:
    """Propose a parameter map for a graph.

    The map loads with that graph and catalogue, unless the graph has no node that saves anything. Rendered with the
    template's own values it gives the template back, but for seeds, which are drawn, and for what no output needs.

    Args:
        graph: checked by `engine.graph.parse_graph`.
        nodes: the node catalogue to check against; classes that it lacks are read by the names of their inputs.
        title: of the map; none leaves it out.
        app_mode: what its author chose in App mode: those inputs are the parameters then, and no others.
    """
    ends = tuple(each for each in (app_mode.outputs if app_mode else ()) if each in graph) or output_nodes(graph, nodes)
    wiring = Wiring(graph, nodes, ends)
    in_map, left, notes = _found(wiring, app_mode, as_lists=True)
    models, model_notes = required_models(wiring)
    plan = _Plan(wiring, title, ends, in_map, left, models)
    if not ends:
        notes.append("no node of the graph saves anything; add one, such as SaveImage")
    else:
        notes += plan.until_it_loads()
    if plan.refused_repeat:
        plan.in_map, plan.left, _ = _found(wiring, app_mode, as_lists=False)
        notes += plan.until_it_loads()
    return Draft(
        document=plan.document(),
        questions=() if app_mode else tuple(questions_of(wiring, plan.in_map, plan.left)),
        left_out={each.name: written(each) for each in plan.left if not each.repeat},
        notes=tuple(dict.fromkeys([*notes, *model_notes])),
    )


def written(candidate: Candidate) -> dict[str, Any]:
    """A parameter as the map has it."""
    paths = [str(place) for place in candidate.places]
    if candidate.repeat:
        return dict(candidate.entry)
    entry = dict(candidate.entry)
    head: dict[str, Any] = {key: entry.pop(key) for key in ("type", "required", "default") if key in entry}
    words: dict[str, Any] = {key: entry.pop(key) for key in ("group", "description") if key in entry}
    return {**head, **entry, "bind": paths[0] if len(paths) == 1 else paths, **words}


def _found(
    wiring: Wiring, app_mode: AppMode | None, *, as_lists: bool
) -> tuple[list[Candidate], list[Candidate], list[str]]:
    settings = settings_of(wiring)
    texts, notes = texts_of(wiring)
    samples = any(each.field is STEPS for each in settings)
    scales = [each for each in settings if each.field is CFG and each.place.node_id in wiring.active]
    guided = not scales or any(each.shown for each in scales)
    addresses, more = address_candidates(wiring)
    notes = [*notes, *more]
    candidates = [
        *media_candidates(wiring),
        *addresses,
        *lora_candidates(wiring, as_lists=as_lists and app_mode is None),
        *slot_candidates(wiring),
        *prompt_candidates(texts, guided=guided, samples=samples),
        *setting_candidates(wiring, settings),
        *model_candidates(wiring),
    ]
    if app_mode is not None:
        in_map, left, more = chosen(wiring, app_mode, candidates)
        return in_map, left, [*notes, *more]
    return *selected(candidates), notes


@dataclass
class _Plan:
    """What is written, less what the loader refuses."""

    wiring: Wiring
    title: str
    ends: Sequence[str]
    in_map: list[Candidate]
    left: list[Candidate]
    models: list[dict[str, Any]]
    examples: bool = True
    refused_repeat: bool = False
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outputs = declared_outputs(self.wiring.graph, self.wiring.nodes, self.ends)

    def document(self) -> dict[str, Any]:
        """The map, its keys in the order in which maps are written."""
        graph = self.wiring.graph
        bound = [place.node_id for each in self.in_map for place in each.places]
        expected = sorted({*bound, *(each["node"] for each in self.outputs.values())}, key=list(graph).index)
        repeat = {node_id: entry for each in self.in_map for node_id, entry in each.repeat.items()}
        document: dict[str, Any] = {
            "$schema": "parameter-map.schema.json",
            **({"title": self.title} if self.title else {}),
            "version": "1.0",
            "parameters": {each.name: written(each) for each in self.in_map},
            **({"repeat": repeat} if repeat else {}),
            "outputs": self.outputs,
            "expects": {node_id: graph[node_id]["class_type"] for node_id in expected},
            **({"requires": {"models": self.models}} if self.models else {}),
        }
        if self.examples and self.in_map:
            document["examples"] = [example_of(self.wiring, self.in_map)]
        return document

    def until_it_loads(self) -> list[str]:
        """Leave out what the loader refuses; gives what is to be said of it."""
        notes: list[str] = []
        self.refused_repeat = False
        for _ in range(_TRIES):
            problems = self._problems()
            if not problems:
                return notes
            if any(each.where.startswith("repeat") for each in problems):
                self.refused_repeat = True
                return notes
            if not self._without(problems, notes):
                return [*notes, *(str(each) for each in problems)]
        return notes

    def _problems(self) -> Sequence[Problem]:
        try:
            Workflow("draft", self.wiring.graph, parse_map(self.document(), label=""), self.wiring.nodes)
        except WorkflowError as error:
            return error.problems or (Problem("", error.message),)
        return ()

    def _without(self, problems: Iterable[Problem], notes: list[str]) -> bool:
        """Make the map smaller by what is refused; whether anything was."""
        changed = False
        for problem in problems:
            section, _, rest = problem.where.partition(".")
            named = next((each for each in self.in_map if each.name == rest.partition(".")[0]), None)
            if section == "parameters" and named is not None:
                self.in_map = [each for each in self.in_map if each is not named]
                if named.entry["type"] == "string" and "choices" not in named.entry and "enum" not in named.entry:
                    kept = replace(named, entry={**named.entry, "choices": False})
                    at = next((n for n, each in enumerate(self.in_map) if each.rank > named.rank), len(self.in_map))
                    self.in_map.insert(at, kept)
                    notes.append(f"{named.name}: {problem.message}; its choices are not enforced")
                else:
                    notes.append(f"{named.name} is left out: {problem.message}")
                changed = True
            elif section.startswith("examples") and self.examples:
                self.examples = False
                notes.append(f"no example: {problem.message}")
                changed = True
        return changed
