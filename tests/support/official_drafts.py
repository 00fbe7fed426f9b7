"""Drafts of all official workflows: `python benchmarks/authoring.py draft`."""

import collections
import time
from collections.abc import Iterable

from support.drafted import drafted, rendered_back
from support.official import converted

from engine.authoring.draft import Export
from engine.errors import EngineError

_NOTHING_SAVED = "no node of the graph saves anything"


def draft(names: Iterable[str] | None) -> int:
    """Draft a map for each, load it, and render it with the template's own values; the exit status is 1 for a fault."""
    counts: collections.Counter[str] = collections.Counter()
    slowest = (0.0, "")
    for name, outcome in converted(names):
        if not isinstance(outcome, Export):
            counts["not converted"] += 1
            continue
        started = time.perf_counter()
        made = drafted(outcome.graph, app_mode=None)
        slowest = max(slowest, (time.perf_counter() - started, f"{name}, {len(outcome.graph)} nodes"))
        if any(_NOTHING_SAVED in note for note in made.notes):
            counts["save nothing, so no map of theirs can load"] += 1
            continue
        try:
            found, expected = rendered_back(made, outcome.graph)
        except EngineError as error:
            counts["FAULTS: do not load"] += 1
            print(f"{name}: {error}")  # noqa: T201
            continue
        counts["load"] += 1
        if found != expected:
            counts["FAULTS: do not give the template back"] += 1
            print(f"{name}: rendered with its own values it is not the template")  # noqa: T201
        counts["questions"] += len(made.questions)
        counts["parameters"] += len(made.document["parameters"])
    for what, count in counts.items():
        print(f"{count:6} {what}")  # noqa: T201
    print(f"slowest draft: {slowest[0]:.2f} s ({slowest[1]})")  # noqa: T201
    return int(any(what.startswith("FAULTS") for what in counts))
