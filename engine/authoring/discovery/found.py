"""What the rules of discovery find. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.bindings import Place


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that a caller may want to set.

    Attributes:
        name: in the field's words; several of one name are numbered when the map is written.
        places: where it goes.
        rank: its importance to a caller, the least first.
        entry: the parameter without its places, in the order it is written in.
        shown: it belongs into the map; else it is told as left out.
        order: where in the order of computing it stands.
        most: of how many such parameters the map may hold.
        repeat: what `repeat` says of each node, for a list that is no binding.
    """

    name: str
    places: tuple[Place, ...]
    rank: float
    entry: dict[str, Any]
    shown: bool = True
    order: int = 0
    most: int = 1
    repeat: dict[str, Any] = field(default_factory=dict)
