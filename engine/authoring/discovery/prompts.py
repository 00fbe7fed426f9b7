"""Prompts as parameters: which text is the prompt, which the negative one, and what only the author can tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.texts import INSTRUCTION, NEGATIVE, OWN_NAMES, POSITIVE, TEXT, ZEROED, Sink, TextFlow
from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place
from engine.graph import label_of

MOST_PROMPTS = 3  # texts of one role that may be parameters; where there are more, they are the recipe
_FAR = 10


@dataclass(frozen=True, slots=True)
class Text:
    """Equal texts of one role.

    Attributes:
        value: the text.
        role: what it is.
        places: where it stands.
        sinks: where it ends up.
        active: a branch that is on uses it.
    """

    value: str
    role: str
    places: tuple[Place, ...]
    sinks: tuple[Sink, ...]
    active: bool

    @property
    def distance(self) -> int:
        """Nodes between the text and where it is used."""
        return min(sink.distance for sink in self.sinks)


def texts_of(wiring: Wiring) -> tuple[list[Text], list[str]]:
    """The texts of a graph by role, the most direct first, and what is to be said of them."""
    flow = TextFlow(wiring)
    groups: dict[tuple[Any, ...], list[tuple[Place, str, list[Sink]]]] = {}
    notes = []
    reached = {
        place: sinks for place, value in wiring.literals() if isinstance(value, str) and (sinks := flow.sinks(place))
    }
    only_zeroed = not any(sink.role in {POSITIVE, TEXT, INSTRUCTION} for sinks in reached.values() for sink in sinks)
    for place, all_sinks in reached.items():
        value = wiring.value(place)
        sinks = [
            replace(sink, role=POSITIVE) if sink.role == ZEROED else sink
            for sink in all_sinks
            if sink.role != ZEROED or only_zeroed
        ]
        if not sinks:
            continue
        roles = {sink.role for sink in sinks}
        own = next((name for name in OWN_NAMES if any(base_name(sink.place) == name for sink in sinks)), None)
        role = own or next((each for each in (POSITIVE, NEGATIVE, TEXT, INSTRUCTION) if each in roles), TEXT)
        if {POSITIVE, NEGATIVE} <= roles:
            fed = label_of(wiring.graph, place.node_id)
            notes.append(f"the text of {fed} feeds positive and negative inputs alike; it is taken for the prompt")
        key = (role, value) if value.strip() else (role, "", place.node_id)
        groups.setdefault(key, []).append((place, role, sinks))
    found = []
    for group in groups.values():
        places = tuple(place for place, _, _ in group)
        found.append(
            Text(
                value=wiring.value(places[0]),
                role=group[0][1],
                places=places,
                sinks=tuple(sink for _, _, sinks in group for sink in sinks),
                active=any(place.node_id in wiring.active for place in places),
            )
        )
    return sorted(found, key=lambda text: _order(wiring, text)), notes


def _order(wiring: Wiring, text: Text) -> tuple[Any, ...]:
    nearest = min(text.sinks, key=lambda sink: (sink.distance, wiring.position[sink.place.node_id]))
    return (not text.active, text.distance >= _FAR, wiring.position[nearest.place.node_id], text.distance)


def prompt_candidates(texts: Iterable[Text], *, guided: bool, samples: bool) -> list[Candidate]:
    """The texts as parameters.

    Args:
        texts: of `texts_of`.
        guided: whether the negative prompt has any effect.
        samples: whether a sampler takes part, so that some text is the prompt.
    """
    texts = list(texts)
    promoted = _promoted(texts)
    texts = [replace(text, role=POSITIVE) if text.role == promoted else text for text in texts]
    found: list[Candidate] = []
    for role, name, rank in (
        (POSITIVE, "prompt", 10.0),
        *((each, each, 12.0) for each in OWN_NAMES),
        (TEXT, "text", 13.0),
        (NEGATIVE, "negative_prompt", 15.0),
        (INSTRUCTION, "instruction", 60.0),
    ):
        mine = [text for text in texts if text.role == role]
        if any(text.value.strip() and text.active for text in mine):
            listed = [text for text in mine if text.value.strip() and text.active]
        else:
            listed = [text for text in mine if text.active][:1]
        many = len(listed) > MOST_PROMPTS
        for number, text in enumerate(mine):
            shown = text in listed and not (many and (not samples or text is not listed[0]))
            if role == NEGATIVE:
                shown = text in listed[:1] and guided
            elif role == INSTRUCTION:
                shown = False
            entry = _entry(role, text, required=role == POSITIVE and len(listed) == 1)
            found.append(
                Candidate(name, text.places, rank + number / 100, entry, shown=shown, order=number, most=MOST_PROMPTS)
            )
    return found


def _promoted(texts: Iterable[Text]) -> str:
    """The role whose texts are the prompt: where nothing else is written, what a language model is asked is."""
    active = [text for text in texts if text.active]
    for some in ([text for text in active if text.value.strip()], active):
        roles = {text.role for text in some}
        if found := next((each for each in (POSITIVE, TEXT, INSTRUCTION) if each in roles), None):
            return found
    return POSITIVE


def _entry(role: str, text: Text, *, required: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "string"}
    if required:
        entry["required"] = True
        if text.value.strip():
            entry["minLength"] = 1
    entry["multiline"] = True
    words = {POSITIVE: "What to make.", NEGATIVE: "What to keep out.", "lyrics": "What is sung."}
    if role in words:
        entry["description"] = words[role]
    return entry
