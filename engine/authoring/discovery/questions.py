"""What the graph does not tell, as questions to its author. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.wiring import Wiring
from engine.authoring.draft import Option, Question
from engine.graph import label_of
from engine.wording import listed, shorter

_EXCERPT = 60


def questions_of(wiring: Wiring, in_map: Sequence[Candidate], left: Sequence[Candidate]) -> Iterator[Question]:
    """The questions about a drafted map."""
    yield from _prompts(wiring, in_map, left)


def _prompts(wiring: Wiring, in_map: Sequence[Candidate], left: Sequence[Candidate]) -> Iterator[Question]:
    """Several texts of one role: which of them is what callers write."""
    for base, first_words in (("prompt", "the prompt"), ("negative_prompt", "the negative prompt")):
        texts = [each for each in (*in_map, *left) if _is_numbered(each.name, base)]
        texts = [each for each in texts if str(wiring.value(each.places[0])).strip()]
        if len(texts) < 2:
            continue
        holder = next((each for each in in_map if each.name == base), None)
        yield Question(
            f"{len(texts)} texts feed inputs of one role; which of them is {first_words} that callers write? "
            f"They stand at {listed(_at(wiring, each) for each in texts)}.",
            tuple(
                Option(f"{_at(wiring, each)}: {_excerpt(wiring, each)}", _as_prompt(base, each, holder))
                for each in texts
            ),
        )


def _as_prompt(base: str, picked: Candidate, holder: Candidate | None) -> dict[str, dict[str, Any]]:
    # Without a prompt in the map its examples hold none, so that none can be required.
    required = base == "prompt" and holder is not None
    entry = {**picked.entry, "required": True, "minLength": 1} if required else dict(picked.entry)
    parameters: dict[str, Any] = {base: _bound(entry, picked)}
    if holder is not None and holder is not picked:
        plain = {key: value for key, value in holder.entry.items() if key not in {"required", "minLength"}}
        parameters[picked.name] = _bound(plain, holder)
    return {"parameters": parameters}


def _bound(entry: dict[str, Any], candidate: Candidate) -> dict[str, Any]:
    paths = [str(place) for place in candidate.places]
    return {**entry, "bind": paths[0] if len(paths) == 1 else paths}


def _is_numbered(name: str, base: str) -> bool:
    return name == base or (name.startswith(f"{base}_") and name.removeprefix(f"{base}_").isdigit())


def _at(wiring: Wiring, candidate: Candidate) -> str:
    place = candidate.places[0]
    return f"{label_of(wiring.graph, place.node_id)}.{place.input_name}"


def _excerpt(wiring: Wiring, candidate: Candidate) -> str:
    return shorter(" ".join(str(wiring.value(candidate.places[0])).split()), _EXCERPT)
