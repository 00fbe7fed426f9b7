"""Which of the candidates a map holds, in which order and under which names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.authoring.discovery.fields import (
    ASPECT_RATIO,
    BATCH,
    CFG,
    CHECKPOINT,
    RESOLUTION,
    SAMPLER,
    SCHEDULER,
    SEED,
    SIZE,
    STEPS,
)
from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.prompts import MOST_PROMPTS
from engine.bindings import Place
from engine.schema import MEDIA_TYPES, RESERVED_NAMES

MOST_PARAMETERS = 15
_KEPT = ("prompt", SEED.name, STEPS.name)


def selected(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """What the map holds and what it leaves out, each the most important first, under names of their own."""
    ranked = sorted(_unclaimed(candidates), key=lambda each: (each.rank, each.order))
    ranked = _restrained(ranked)
    counts: dict[str, int] = {}
    shown: list[Candidate] = []
    for each in ranked:
        counts[each.name] = counts.get(each.name, 0) + each.shown
        if each.shown and counts[each.name] <= each.most:
            shown.append(each)
    shown = _most_important(shown)
    left = [each for each in ranked if not any(each is other for other in shown)]
    names: dict[str, None] = {}
    return named(shown, names), named(left, names)


def _unclaimed(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each place under the first that claims it."""
    taken: set[Place] = set()
    found = []
    for each in candidates:
        free = tuple(place for place in each.places if place not in taken)
        if free and (free == each.places or not each.repeat):
            taken.update(free)
            found.append(replace(each, places=free))
    return found


def _restrained(candidates: list[Candidate]) -> list[Candidate]:
    """Without the settings that only matter in other graphs.

    Sampler and scheduler are a matter of taste where any checkpoint may be loaded. Where the parts of one model are
    loaded each by itself they belong to that model's recipe, and in a graph of many samplers to the author's.
    """
    passes = {tuple(each.places) for each in candidates if each.name == STEPS.name and each.shown}
    hidden: set[str] = set()
    if not any(each.name == CHECKPOINT.name and each.shown for each in candidates):
        hidden |= {SAMPLER.name, SCHEDULER.name}
    if len(passes) > STEPS.most:
        hidden |= {SAMPLER.name, SCHEDULER.name, CFG.name, BATCH.name}
    has_media = any(each.entry["type"] in MEDIA_TYPES and each.shown for each in candidates)
    if has_media and not any(each.name == CHECKPOINT.name and each.shown for each in candidates):
        hidden.add(BATCH.name)
    if len([each for each in candidates if each.name == "prompt"]) > MOST_PROMPTS and not passes:
        hidden |= {ASPECT_RATIO.name, RESOLUTION.name, SIZE.name}
    return [replace(each, shown=False) if each.name in hidden else each for each in candidates]


def _most_important(shown: list[Candidate]) -> list[Candidate]:
    if len(shown) <= MOST_PARAMETERS:
        return shown
    kept = [next((each for each in shown if each.name == name), None) for name in _KEPT]
    needed = [each for each in kept if each]
    others = [each for each in shown if not any(each is other for other in needed)]
    chosen = needed + others[: MOST_PARAMETERS - len(needed)]
    return [each for each in shown if any(each is other for other in chosen)]


def named(candidates: Iterable[Candidate], names: dict[str, None]) -> list[Candidate]:
    """The candidates under names that are neither taken nor reserved.

    Args:
        candidates: the first of a name keeps it, the others get numbers.
        names: those that are taken; it grows by the given ones.
    """
    found = []
    for each in candidates:
        base = f"{each.name}_value" if each.name in RESERVED_NAMES else each.name
        name, number = base, 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names[name] = None
        repeat = each.repeat
        if name != each.name:
            repeat = {
                node: {**entry, "over": entry["over"].replace(each.name, name, 1)} for node, entry in repeat.items()
            }
        found.append(replace(each, name=name, repeat=repeat))
    return found
