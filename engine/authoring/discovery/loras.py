"""LoRAs: a chain of them becomes one list, which `repeat` makes a chain of again. Pure."""

from __future__ import annotations

from typing import Any

from engine.authoring.discovery.fields import MODEL
from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.shapes import plain_type
from engine.authoring.discovery.wiring import Wiring
from engine.bindings import Place

_STRENGTHS = ("strength_model", "strength_clip")
_RANK, _RANK_OF_STRENGTH = 49.0, 48.0
_MOST_LORAS = 8
_MOST_SLOTS = 4


def lora_chains(wiring: Wiring) -> list[list[str]]:
    """The LoRA loaders by chain: each one's class is that of the one before, whose outputs nothing else uses."""
    loaders = [node_id for node_id in wiring.needed if _is_loader(wiring, node_id)]
    loaders.sort(key=lambda each: wiring.position[each])
    follows = {node_id: before for node_id in loaders if (before := _before(wiring, node_id))}
    chains: list[list[str]] = []
    for node_id in loaders:
        chain = next((each for each in chains if each[-1] == follows.get(node_id)), None)
        if chain:
            chain.append(node_id)
        else:
            chains.append([node_id])
    return chains


def lora_candidates(wiring: Wiring, *, as_lists: bool = True) -> list[Candidate]:
    """LoRAs as parameters.

    A chain is a list of any length. So is a single LoRA that changes the text encoder as well; one that changes the
    model alone is often what makes the model work as the graph wants it, and gets a strength.

    Args:
        wiring: the graph.
        as_lists: whether lists may be made.
    """
    found = []
    for chain in lora_chains(wiring):
        active = all(node_id in wiring.active for node_id in chain) and not _is_a_mode(wiring, chain[-1])
        order = wiring.position[chain[0]]
        if as_lists and active and (len(chain) > 1 or "strength_clip" in wiring.inputs(chain[0])):
            found.append(_list_of(wiring, chain, order))
            continue
        found += [_strength(wiring, node_id, shown=active) for node_id in chain]
    return found


def slot_candidates(wiring: Wiring) -> list[Candidate]:
    """LoRAs that a loader of many has as objects, one an input: whether it is on, the file, how strong."""
    found = []
    for node_id in wiring.needed:
        for name, value in wiring.inputs(node_id).items():
            slot = Place(node_id, name)
            if not isinstance(value, dict) or not isinstance(value.get("lora"), str) or "strength" not in value:
                continue
            properties = {key: {"type": plain_type(each), "default": each} for key, each in value.items()}
            if any(not isinstance(each, str | int | float) for each in value.values()):
                continue
            properties["lora"]["choices"] = "LoraLoader.lora_name"
            for key in properties.keys() & {"strength", "strengthTwo"}:
                properties[key] = {"type": "number", "minimum": -4, "maximum": 4, "default": value[key]}
            entry: dict[str, Any] = {
                "type": "object",
                "group": MODEL,
                "description": "A LoRA: its file, how strong it is, and whether it takes part.",
                "properties": properties,
            }
            shown = value.get("on") is not False and node_id in wiring.active
            order = wiring.position[node_id]
            found.append(Candidate("lora", (slot,), _RANK, entry, shown=shown, order=order, most=_MOST_SLOTS))
    return found


def _list_of(wiring: Wiring, chain: list[str], order: int) -> Candidate:
    strengths = [name for name in _STRENGTHS if name in wiring.inputs(chain[0])]
    values = [[wiring.inputs(node_id)[name] for name in strengths] for node_id in chain]
    apart = len(strengths) > 1 and any(each[0] != each[1] for each in values)
    number = {"type": "number", "minimum": -4, "maximum": 4, "default": 1}
    properties: dict[str, Any] = {
        "name": {"type": "string", "required": True, "choices": f"{wiring.class_of(chain[0])}.lora_name"},
        "strength": number,
    }
    if apart:
        properties["strength_clip"] = dict(number)
    default = []
    for node_id, each in zip(chain, values, strict=True):
        item = {"name": wiring.inputs(node_id)["lora_name"], "strength": each[0]}
        default.append(item | ({"strength_clip": each[1]} if apart else {}))
    written = {"lora_name": "item.name", strengths[0]: "item.strength"}
    if len(strengths) > 1:
        written[strengths[1]] = "item.strength_clip" if apart else "item.strength"
    last = len(chain) - 1
    # Each node takes the item at its own place, the last one all that follow: the template's own list gives the
    # template back, a shorter one bypasses the rest, a longer one lengthens the chain.
    repeat = {
        node_id: {"over": _share("loras", index, last), "set": dict(written)} for index, node_id in enumerate(chain)
    }
    entry = {
        "type": "array",
        "maxItems": max(_MOST_LORAS, len(chain)),
        "default": default,
        "group": MODEL,
        "description": "LoRAs, one after the other; none for the model alone.",
        "items": {"type": "object", "properties": properties},
    }
    places = tuple(Place(node_id, name) for node_id in chain for name in written)
    return Candidate("loras", places, _RANK, entry, order=order, most=1, repeat=repeat)


def _share(name: str, index: int, last: int) -> str:
    if not last:
        return name
    return f"{name}[{index}:]" if index == last else f"{name}[{index}:{index + 1}]"


def _strength(wiring: Wiring, node_id: str, *, shown: bool) -> Candidate:
    inputs = wiring.inputs(node_id)
    places = [Place(node_id, _STRENGTHS[0])]
    if _STRENGTHS[1] in inputs and inputs[_STRENGTHS[1]] == inputs[_STRENGTHS[0]]:
        places.append(Place(node_id, _STRENGTHS[1]))
    entry = {"type": "number", "minimum": -4, "maximum": 4, "group": MODEL, "description": "How strong the LoRA is."}
    return Candidate(
        "lora_strength",
        tuple(places),
        _RANK_OF_STRENGTH,
        entry,
        shown=shown,
        order=wiring.position[node_id],
        most=2,
    )


def _is_loader(wiring: Wiring, node_id: str) -> bool:
    inputs = wiring.inputs(node_id)
    if not isinstance(inputs.get("lora_name"), str) or not wiring.link(Place(node_id, "model")):
        return False
    numbers = [inputs[name] for name in _STRENGTHS if name in inputs]
    return (
        bool(numbers)
        and "strength_model" in inputs
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers)
    )


def _is_a_mode(wiring: Wiring, node_id: str) -> bool:
    """Whether a LoRA is one side of a switch, as those are that make a model fast."""
    users = wiring.users.get(node_id, ())
    return bool(users) and all(wiring.branches(place.node_id) for place, _ in users)


def _before(wiring: Wiring, node_id: str) -> str | None:
    link = wiring.link(Place(node_id, "model"))
    if link is None or not _is_loader(wiring, link[0]) or wiring.class_of(link[0]) != wiring.class_of(node_id):
        return None
    alone = all(place.node_id == node_id for place, _ in wiring.users.get(link[0], ()))
    clip = wiring.link(Place(node_id, "clip"))
    return link[0] if alone and (clip is None or clip[0] == link[0]) else None
