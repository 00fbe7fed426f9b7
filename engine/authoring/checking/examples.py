"""What the examples of a workflow render to, the same every time. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import InvalidPayload, RenderFailed
from engine.graph import Graph
from engine.schema import SeedParameter
from engine.workflow import Workflow

STAND_IN_SEED = 0
"""The seed of examples that give none: a drawn one would be another every time."""

_JOB_ID = "rendered"
_LONGEST_STEM = 60


@dataclass(frozen=True, slots=True)
class RenderedExample:
    """An example and the graph it gives.

    Attributes:
        title: the author's.
        stem: made of the title; of one workflow no two have the same.
        graph: what it renders to; None where it does not.
        problem: why it does not: with the stand-in for its seed it breaks a rule.
    """

    title: str
    stem: str
    graph: Graph | None
    problem: str = ""


def rendered_examples(workflow: Workflow) -> list[RenderedExample]:
    """Every example, rendered; seeds that none gives are `STAND_IN_SEED`, files have a stand-in."""
    found: dict[str, RenderedExample] = {}
    for index, example in enumerate(workflow.examples):
        stem = plain = _stem(example.title) or f"example-{index + 1}"
        number = 2
        while stem in found:
            stem, number = f"{plain}-{number}", number + 1
        payload = _with_seeds(workflow, example.payload)
        try:
            graph = workflow.render(workflow.validate(payload), job_id=_JOB_ID)
            found[stem] = RenderedExample(example.title, stem, graph)
        except (InvalidPayload, RenderFailed) as error:
            found[stem] = RenderedExample(example.title, stem, None, error.message)
    return list(found.values())


def _stem(title: str) -> str:
    text = unicodedata.normalize("NFC", title).lower()
    return re.sub(r"[\W_]+", "-", text)[:_LONGEST_STEM].strip("-")


def _with_seeds(workflow: Workflow, payload: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(payload)
    for name, parameter in workflow.parameters.items():
        if isinstance(parameter, SeedParameter):
            default = parameter.default if parameter.has_default else -1
            if filled.get(name, default) == -1:
                filled[name] = STAND_IN_SEED
    return filled
