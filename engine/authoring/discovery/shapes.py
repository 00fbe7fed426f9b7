"""The entries of parameters: type, range and words, by the field and by what the node catalogue says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.authoring.discovery.fields import Field
from engine.authoring.discovery.wiring import Wiring
from engine.bindings import Place
from engine.nodes import InputSpec

_BY_INPUT = {"INT": "integer", "FLOAT": "number", "STRING": "string", "BOOLEAN": "boolean"}


def entry_of(wiring: Wiring, field: Field, places: Sequence[Place]) -> dict[str, Any]:
    """A parameter's entry, but for its places.

    Args:
        wiring: the graph.
        field: what it is.
        places: where it goes.
    """
    specs = [spec for place in places if (spec := wiring.spec(place))]
    value = wiring.value(places[0])
    kind = _type(field, value, specs)
    entry: dict[str, Any] = {"type": kind}
    if kind in {"integer", "number"}:
        entry |= _range(field, kind, [wiring.value(place) for place in places], specs)
        step = _step(wiring, places) if kind == "integer" and field.name in {"width", "height"} else None
        if step and all(wiring.value(place) % step == 0 for place in places):
            entry["multipleOf"] = step
            # The least of a range that no step leads to would refuse itself.
            if entry.get("minimum", 0) % step:
                entry["minimum"] = (entry["minimum"] // step + 1) * step
    if field.group:
        entry["group"] = field.group
    if field.description:
        entry["description"] = field.description
    return entry


def plain_type(value: Any) -> str:
    """The type of a literal that nothing else is known of."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def _type(field: Field, value: Any, specs: Sequence[InputSpec]) -> str:
    if field.type == "seed":
        return "seed"
    told = {_BY_INPUT[spec.type] for spec in specs if spec.type in _BY_INPUT}
    if len(told) == 1:
        return told.pop()
    if "integer" in told:
        return "integer"  # the narrower of two kinds of numbers
    if any(spec.type == "COMBO" for spec in specs):
        return plain_type(value)
    if field.type == "number" and isinstance(value, int) and not specs and field.name in {"fps", "duration"}:
        return "integer"  # a node that nobody knows may take whole numbers alone
    return field.type if field.fits(value) else plain_type(value)


def _range(field: Field, kind: str, values: Sequence[Any], specs: Sequence[InputSpec]) -> dict[str, Any]:
    low = _bound(max, [field.minimum, *(spec.minimum for spec in specs if spec.type in {"INT", "FLOAT"})])
    high = _bound(min, [field.maximum, *(spec.maximum for spec in specs if spec.type in {"INT", "FLOAT"})])
    found: dict[str, Any] = {}
    for word, bound, holds in (
        ("minimum", low, low is None or all(value >= low for value in values)),
        ("maximum", high, high is None or all(value <= high for value in values)),
    ):
        if bound is not None and holds and abs(bound) < 1e6:
            found[word] = int(bound) if kind == "integer" or float(bound).is_integer() else bound
    return found


def _bound(tighter: Any, bounds: Sequence[float | None]) -> float | None:
    told = [bound for bound in bounds if bound is not None]
    return tighter(told) if told else None


def _step(wiring: Wiring, places: Sequence[Place]) -> int | None:
    """The greatest step that the inputs count in, where each is a multiple of the others."""
    steps = []
    for place in places:
        raw = wiring.nodes.object_info.get(wiring.class_of(place.node_id), {}).get("input", {})
        for section in ("required", "optional"):
            declared = raw.get(section, {}).get(place.input_name)
            if isinstance(declared, list) and len(declared) > 1 and isinstance(declared[1], dict):
                steps.append(declared[1].get("step"))
    whole = [int(Decimal(str(step))) for step in steps if isinstance(step, int | float) and step == int(step)]
    most = max(whole, default=0)
    return most if most > 1 and all(each > 0 and most % each == 0 for each in whole) else None
