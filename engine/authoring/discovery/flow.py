"""What a literal is for: the inputs that its value reaches, directly or through nodes that make values. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place

# Inputs that say nothing but that they hold a value.
PLAIN_NAMES = re.compile(
    r"value|val|int|integer|float|number|string|text|boolean|bool|any|input|x|a|b|c|int_\w|float_\w|num\w?|\w*_value"
    r"|int\d*|float\d*|source|seed_value"
)


@dataclass(frozen=True, slots=True)
class Use:
    """An input that a value reaches.

    Attributes:
        place: the input.
        computed: something was made of the value on the way.
        through: the nodes on the way.
    """

    place: Place
    computed: bool = False
    through: tuple[str, ...] = ()


def uses(wiring: Wiring, node_id: str) -> list[Use]:
    """Where the values of a node end up, whatever they are handed on by.

    A switch hands on the side alone that it is set to, unless the node takes no part otherwise.

    Args:
        wiring: the graph.
        node_id: a node that makes values.
    """
    found: list[Use] = []
    seen: set[tuple[Place, bool]] = set()
    waiting = [Use(place) for place, _ in wiring.users.get(node_id, ())]
    while waiting:
        use = waiting.pop(0)
        if (use.place, use.computed) in seen:
            continue
        seen.add((use.place, use.computed))
        user = use.place.node_id
        if node_id in wiring.active and use.place.input_name == wiring.off_branch(user):
            continue
        if not wiring.makes_values(user):
            found.append(use)
            continue
        computed = use.computed or not _hands_on(wiring, use.place)
        through = (*use.through, user)
        waiting += [Use(place, computed, through) for place, _ in wiring.users.get(user, ())]
    return found


def _hands_on(wiring: Wiring, place: Place) -> bool:
    """Whether a node gives what it gets: a switch, a reroute, a preview, a change of type."""
    node_id = place.node_id
    inputs = wiring.inputs(node_id)
    if branches := wiring.branches(node_id):
        return place.input_name != branches[0]
    return len(inputs) == 1


def is_plain(place: Place) -> bool:
    """Whether the name of an input tells nothing of what it is for."""
    return bool(PLAIN_NAMES.fullmatch(base_name(place)))
