"""How well drafted maps find what authors chose: pairs of node and input, against App mode's choice.

`python benchmarks/authoring.py score` prints each workflow with its hits, misses and extras, then the totals.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.official import converted, official_workflows

from engine.authoring.discovery import draft_map
from engine.authoring.draft import AppMode, Draft, Export
from engine.bindings import Place, resolve
from engine.graph import Graph, as_link
from engine.nodes import NodeCatalogue, load_catalogue
from engine.schema import ParameterMap

MOST_PARAMETERS = 15


@dataclass(frozen=True)
class Score:
    """One workflow's.

    Attributes:
        name: of the workflow.
        hits: what was chosen and found, each with the parameter that has it.
        missed: what was chosen and not found, each with its node's class.
        extra: what was found and not chosen, each with the parameter.
        parameters: how many the map has.
    """

    name: str
    hits: dict[Place, str]
    missed: dict[Place, str]
    extra: dict[Place, str]
    parameters: int

    @property
    def precision(self) -> float:
        """Of what was found, the share that was chosen; 1 where nothing was found."""
        return _share(len(self.hits), len(self.hits) + len(self.extra))

    @property
    def recall(self) -> float:
        """Of what was chosen, the share that was found."""
        return _share(len(self.hits), len(self.hits) + len(self.missed))


def scores(names: Iterable[str] | None = None) -> Iterator[tuple[Score, tuple[str, ...]]]:
    """The score of each official workflow with App mode, and what of its author's choice is not in the graph."""
    chosen = (name for name, path in official_workflows().items() if '"linearData"' in path.read_text(encoding="utf-8"))
    for name, outcome in converted(chosen if names is None else names):
        if isinstance(outcome, Export) and outcome.app_mode is not None:
            found = scored(name, outcome.graph, outcome.app_mode, load_catalogue())
            if found is not None:
                yield found, outcome.app_mode.lost


def score(names: Iterable[str] | None) -> int:
    """Print the scores; the exit status."""
    every = []
    for found, lost in scores(names):
        every.append(found)
        print("\n".join([*lines(found), *(f"  lost   {each}" for each in lost)]))  # noqa: T201
    print(f"\n{len(every)} workflows with App mode, at most {MOST_PARAMETERS} parameters each")  # noqa: T201
    for word, value in totals(every).items():
        print(f"{word:16} {value:.3f}")  # noqa: T201
    return 0


def scored(name: str, graph: Graph, app_mode: AppMode, nodes: NodeCatalogue) -> Score | None:
    """Draft a map without looking at App mode's choice, and compare; None where no input was chosen that is left."""
    chosen = [place for place, _ in app_mode.inputs if _is_literal(graph, place)]
    if not chosen:
        return None
    draft = draft_map(graph, nodes)
    found = settable(draft, graph, nodes)
    assert len(draft.document["parameters"]) <= MOST_PARAMETERS
    return Score(
        name,
        hits={place: found[place] for place in chosen if place in found},
        missed={place: graph[place.node_id]["class_type"] for place in chosen if place not in found},
        extra={place: parameter for place, parameter in found.items() if place not in chosen},
        parameters=len(draft.document["parameters"]),
    )


def settable(draft: Draft, graph: Graph, nodes: NodeCatalogue) -> dict[Place, str]:
    """The places that a map lets callers set, each with the parameter: bound ones, and those that `repeat` sets."""
    loaded = ParameterMap.model_validate(draft.document)
    found = {}
    for name, parameter in loaded.parameters.items():
        for binding in parameter.bindings:
            found |= dict.fromkeys(resolve(binding.path, graph, nodes=nodes), name)
    for node_id, repeat in loaded.repeat.items():
        found |= dict.fromkeys((Place(node_id, each) for each in repeat.set), repeat.over)
    return found


def totals(of: list[Score]) -> dict[str, float]:
    """Precision, recall and F1 over all pairs together (micro) and as the mean of the workflows' (macro)."""
    hits = sum(len(each.hits) for each in of)
    precision = _share(hits, hits + sum(len(each.extra) for each in of))
    recall = _share(hits, hits + sum(len(each.missed) for each in of))
    mean_precision = sum(each.precision for each in of) / len(of)
    mean_recall = sum(each.recall for each in of) / len(of)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _f1(precision, recall),
        "macro precision": mean_precision,
        "macro recall": mean_recall,
        "macro f1": _f1(mean_precision, mean_recall),
    }


def lines(of: Score) -> list[str]:
    """A workflow's score, for people."""
    return [
        f"{of.name}: precision {of.precision:.2f}, recall {of.recall:.2f}, {of.parameters} parameters",
        *_listed("hit", of.hits),
        *_listed("missed", of.missed),
        *_listed("extra", of.extra),
    ]


def _listed(word: str, pairs: Mapping[Place, str]) -> list[str]:
    return [f"  {word:6} {place.node_id} {place.input_name} ({what})" for place, what in pairs.items()]


def _is_literal(graph: Graph, place: Place) -> bool:
    inputs: Mapping[str, Any] = graph.get(place.node_id, {}).get("inputs", {})
    return place.input_name in inputs and as_link(inputs[place.input_name]) is None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
