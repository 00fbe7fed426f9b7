"""Where the boxes of a graph stand and how its wires run, from left to right. Pure, and the same for the same graph.

The method is that of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures",
1981): layers by the longest path, points where wires pass a layer, an order within the layers that crosses few wires
(barycentres), then heights that keep the wires straight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Member: TypeAlias = Hashable
"""What stands in a layer: a box, by its name, or the passing of a bundle of wires."""

MARGIN = 20
BETWEEN_LAYERS = 64
BETWEEN_BOXES = 22
_PASSING = 6  # pixels that a wire is given where it passes a layer
_SWEEPS = 16


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two boxes.

    Attributes:
        source: the box that it comes from.
        output: which of its outputs; the wires of one output run together for as long as they can.
        source_y: pixels from the top of that box.
        target: the box that it goes to.
        target_y: pixels from the top of that box.
    """

    source: str
    output: int
    source_y: float
    target: str
    target_y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found.

    Attributes:
        places: the left upper corner of each box.
        routes: for each wire, in their order, the points that it runs through: two at each layer that it leaves or
            passes, between which it is straight, and its end.
        width: of the whole, in pixels.
        height: of the whole, in pixels.
    """

    places: Mapping[str, tuple[int, int]]
    routes: Sequence[Sequence[Point]]
    width: int
    height: int


@dataclass(slots=True)
class _Layers:
    """The members of each layer in order, their sizes, and the wires from one layer to the next."""

    order: list[list[Member]]
    heights: dict[Member, float]
    segments: list[tuple[Member, float, Member, float]] = field(default_factory=list)
    y: dict[Member, float] = field(default_factory=dict)


def laid_out(boxes: Mapping[str, tuple[int, int]], wires: Sequence[Wire]) -> Layout:
    """Find places and routes.

    Args:
        boxes: width and height of each, in pixels.
        wires: between them; they form no circle.
    """
    ranks = _ranks(boxes, wires)
    layers = _layers(boxes, wires, ranks)
    _reorder(layers)
    _set_heights(layers)
    widths = [max((boxes[each][0] for each in layer if isinstance(each, str)), default=0.0) for layer in layers.order]
    lefts = [MARGIN + sum(widths[:rank]) + BETWEEN_LAYERS * rank for rank in range(len(widths))]
    places = {name: (round(lefts[ranks[name]]), round(layers.y[name])) for name in boxes}
    routes = [_route(wire, places, boxes, layers, ranks, lefts, widths) for wire in wires]
    lowest = max((layers.y[each] + layers.heights[each] for layer in layers.order for each in layer), default=0.0)
    right = lefts[-1] + widths[-1] if lefts else 0.0
    return Layout(places, routes, round(right + MARGIN), round(lowest + MARGIN))


def _ranks(boxes: Iterable[str], wires: Sequence[Wire]) -> dict[str, int]:
    """The layer of each box: as far left as its inputs allow, but beside its users where that makes wires short."""
    sources, users = defaultdict(set), defaultdict(set)
    for wire in wires:
        sources[wire.target].add(wire.source)
        users[wire.source].add(wire.target)
    ranks: dict[str, int] = {}
    waiting = list(boxes)
    while waiting:
        ready = [name for name in waiting if sources[name] <= ranks.keys()]
        if not ready:
            raise ValueError(f"the links of {', '.join(waiting)} go round in a circle")
        for name in ready:
            ranks[name] = max((ranks[each] + 1 for each in sources[name]), default=0)
        waiting = [name for name in waiting if name not in ranks]
    for name in sorted(ranks, key=lambda name: -ranks[name]):
        if users[name] and len(sources[name]) <= len(users[name]):
            ranks[name] = min(ranks[each] for each in users[name]) - 1
    return ranks


def _layers(boxes: Mapping[str, tuple[int, int]], wires: Sequence[Wire], ranks: Mapping[str, int]) -> _Layers:
    """The members of the layers, in the order of the boxes, and the wires between neighbouring layers."""
    count = max(ranks.values(), default=-1) + 1
    layers = _Layers([[] for _ in range(count)], {name: float(size[1]) for name, size in boxes.items()})
    for name in boxes:
        layers.order[ranks[name]].append(name)
    seen: set[tuple[Member, Member]] = set()
    for wire in wires:
        before: Member = wire.source
        before_y = wire.source_y
        for rank in range(ranks[wire.source] + 1, ranks[wire.target]):
            passing = (wire.source, wire.output, rank)
            if passing not in layers.heights:
                layers.heights[passing] = _PASSING
                layers.order[rank].append(passing)
            if (before, passing) not in seen:
                seen.add((before, passing))
                layers.segments.append((before, before_y, passing, _PASSING / 2))
            before, before_y = passing, _PASSING / 2
        layers.segments.append((before, before_y, wire.target, wire.target_y))
    return layers


def _reorder(layers: _Layers) -> None:
    """Sort each layer by the barycentres of its neighbours, to and fro; the order with the fewest crossings stays."""
    best, fewest = [list(layer) for layer in layers.order], _crossings(layers)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        pulls: dict[Member, list[tuple[Member, float]]] = defaultdict(list)
        for source, source_y, target, target_y in layers.segments:
            if forward:
                pulls[target].append((source, source_y / layers.heights[source]))
            else:
                pulls[source].append((target, target_y / layers.heights[target]))
        for layer in layers.order if forward else reversed(layers.order):
            position = {each: index for other in layers.order for index, each in enumerate(other)}
            centres = {
                each: sum(position[other] + share for other, share in pulls[each]) / len(pulls[each])
                if pulls[each]
                else position[each] + 0.5
                for each in layer
            }
            layer.sort(key=centres.__getitem__)
        if (crossings := _crossings(layers)) < fewest:
            best, fewest = [list(layer) for layer in layers.order], crossings
    layers.order = best


def _crossings(layers: _Layers) -> int:
    """How many pairs of wires cross between neighbouring layers."""
    position = {each: (rank, index) for rank, layer in enumerate(layers.order) for index, each in enumerate(layer)}
    between: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for source, source_y, target, target_y in layers.segments:
        rank, index = position[source]
        between[rank].append(
            (
                index + source_y / (layers.heights[source] + 1),
                position[target][1] + target_y / (layers.heights[target] + 1),
            )
        )
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for wires in between.values()
        for number, one in enumerate(wires)
        for other in wires[:number]
    )


def _set_heights(layers: _Layers) -> None:
    """Give every member its height: near those that it is wired to, in the order of its layer, none over another."""
    for layer in layers.order:
        top = 0.0
        for each in layer:
            layers.y[each] = top
            top += layers.heights[each] + BETWEEN_BOXES
    left, right = defaultdict(list), defaultdict(list)
    for source, source_y, target, target_y in layers.segments:
        left[target].append((source, source_y - target_y))
        right[source].append((target, target_y - source_y))
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        near = left if forward else right
        for layer in layers.order if forward else reversed(layers.order):
            pulls = [near[each] or (left[each] + right[each]) for each in layer]
            if sweep >= _SWEEPS - 6:
                pulls = [left[each] + right[each] for each in layer]
            wanted = [
                sum(layers.y[other] + shift for other, shift in pull) / len(pull) if pull else layers.y[each]
                for each, pull in zip(layer, pulls, strict=True)
            ]
            steps = [layers.heights[each] + BETWEEN_BOXES for each in layer]
            layers.y.update(zip(layer, apart(wanted, steps), strict=True))
    highest = min(layers.y.values(), default=0.0)
    layers.y = {each: y - highest + MARGIN for each, y in layers.y.items()}


def apart(wanted: Sequence[float], steps: Sequence[float]) -> list[float]:
    """The values closest to those that are wanted (least squares) that keep their order and their distances.

    Args:
        wanted: one for each member of a row.
        steps: the least distance of each to the next.
    """
    offsets = [sum(steps[:index]) for index in range(len(wanted))]
    blocks: list[tuple[float, int]] = []  # mean and size: pool adjacent violators
    for value, offset in zip(wanted, offsets, strict=True):
        mean, size = value - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean = (mean * size + other * count) / (size + count)
            size += count
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _route(
    wire: Wire,
    places: Mapping[str, tuple[int, int]],
    boxes: Mapping[str, tuple[int, int]],
    layers: _Layers,
    ranks: Mapping[str, int],
    lefts: Sequence[float],
    widths: Sequence[float],
) -> list[Point]:
    left, top = places[wire.source]
    first = ranks[wire.source]
    # Straight to where the layer ends, so that it crosses no wider box above or below.
    points = [(left + boxes[wire.source][0], top + wire.source_y), (lefts[first] + widths[first], top + wire.source_y)]
    for rank in range(first + 1, ranks[wire.target]):
        y = layers.y[wire.source, wire.output, rank] + _PASSING / 2
        points += [(lefts[rank], y), (lefts[rank] + widths[rank], y)]
    left, top = places[wire.target]
    return [*points, (left, top + wire.target_y)]
