"""Links of an export as the editor follows them when it queues, within one scope: the document, or a subgraph.

Nodes that only the editor knows hand a link on, and so does a bypassed node with one of its inputs, or with none. Which
one is the editor's rule (its ExecutableNodeDTO, 2025). comfy-cli (1.23) has it in part: where no input of a bypassed
node fits it hands on one that does not, it takes the variables of all subgraphs for one another's, it stops where the
kinds take turns, and of two outputs of a subgraph that come from one place it loses the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.ui_format.reading import (
    BYPASSED,
    HANDS_ON,
    LINK_KEYS,
    SUBGRAPH_INPUTS,
    SUBGRAPH_OUTPUTS,
    inputs_of,
    is_link_id,
    items_of,
    links_of,
    nodes_of,
    outputs_of,
)

_Origin: TypeAlias = tuple[str, int]
"""A node's id and which of its outputs. A subgraph's own inputs are the outputs of a node with the id -10."""

_Step: TypeAlias = tuple[str, int, str]
"""An origin, and the type that is wanted of it."""

_OUTSIDE = str(SUBGRAPH_INPUTS)


def rewire(scope: dict[str, Any]) -> None:
    """Lead each link straight to the node that its value comes from, and take away those that come from nowhere.

    Args:
        scope: a document or a subgraph; it is changed. Its links become objects, one for each slot that has one.
    """
    ways = _Ways(scope)
    leading_in = [
        (node, at, slot, ways.end(slot.get("link"), _type(slot)))
        for node in nodes_of(scope)
        for at, slot in enumerate(inputs_of(node))
    ]
    leading_out = [(output, ways.end(_leading_out(output), _type(output))) for output in items_of(scope, "outputs")]
    rewired = _Rewired(scope)
    for node, at, slot, origin in leading_in:
        direct = origin == ways.begin(slot.get("link"))
        slot["link"] = rewired.linked(origin, node.get("id"), at, slot["link"], direct=direct) if origin else None
    for index, (output, origin) in enumerate(leading_out):
        output["linkIds"] = [rewired.linked_out(origin, index, _leading_out(output))] if origin else []
    rewired.write()


class _Ways:
    """Follows links back, through all that hands them on, as they were."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._nodes = {str(node.get("id")): node for node in nodes_of(scope)}
        self._begins = {link["id"]: _origin(link) for link in links_of(scope) if is_link_id(link.get("id"))}
        self._setters = {
            name: node for node in nodes_of(scope) if node.get("type") == "SetNode" and (name := _variable(node))
        }
        self._ends: dict[_Step, _Origin | None] = {}

    def begin(self, key: Any) -> _Origin | None:
        """Where a link itself comes from; None where there is no such link."""
        return self._begins.get(key) if is_link_id(key) else None

    def end(self, key: Any, wanted: str) -> _Origin | None:
        """Where its value comes from; None for nowhere.

        Args:
            key: the link's id.
            wanted: the type that the slot takes.
        """
        begin = self.begin(key)
        following: _Step | None = None if begin is None else (*begin, wanted)
        way: dict[_Step, None] = {}  # each step is gone once for all links: chains may be long, and links many
        end: _Origin | None = None
        while following is not None and following not in way:
            if following in self._ends:
                end = self._ends[following]
                break
            way[following] = None
            node = self._nodes.get(following[0])
            if node is None or not self._hands_on(node):
                end = following[:2]
                break
            following = self._before(node, following[1], following[2])
        self._ends.update(dict.fromkeys(way, end))
        return end

    def _hands_on(self, node: Mapping[str, Any]) -> bool:
        if node.get("mode") == BYPASSED:
            return True
        if node.get("type") == "GetNode":
            return _variable(node) in self._setters  # comfy-cli looks for others elsewhere
        return node.get("type") in HANDS_ON

    def _before(self, node: Mapping[str, Any], index: int, wanted: str) -> _Step | None:
        if node.get("mode") == BYPASSED:
            at = _bypass(node, index, wanted)
        elif node.get("type") == "GetNode":
            node, at = self._setters[_variable(node)], 0
        else:
            at = index
        slots = inputs_of(node)
        if at is None or not 0 <= at < len(slots) or (begin := self.begin(slots[at].get("link"))) is None:
            return None
        return (*begin, _type(slots[at]) if node.get("mode") == BYPASSED else wanted)


class _Rewired:
    """The new links of a scope."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self._scope = scope
        self._ids = {str(node.get("id")): node.get("id") for node in nodes_of(scope)}
        self._reroutes: list[dict[str, Any]] = []
        self._links: dict[Any, dict[str, Any]] = {}
        self._inside: dict[_Origin, _Origin] = {}
        self._led_out: set[_Origin] = set()

    def linked(self, origin: _Origin, node_id: Any, at: int, key: Any, *, direct: bool = True) -> Any:
        """Link an input slot; gives the link's id.

        Args:
            origin: where the value comes from.
            node_id: the node that takes it.
            at: the number of its slot.
            key: the id to take where it is free.
            direct: it came from there already. A link from outside that did not gets a reroute before it, since what
                such links lead to decides which of a subgraph's inputs have a value in each instance.
        """
        if origin[0] == _OUTSIDE and not direct:
            origin = self._inside.setdefault(origin, origin)
            if origin[0] == _OUTSIDE:
                origin = self._inside[origin] = self._reroute(origin)
        while key in self._links:
            key = f"{key}+"
        begin = SUBGRAPH_INPUTS if origin[0] == _OUTSIDE else self._ids.get(origin[0], origin[0])
        self._links[key] = dict(zip(LINK_KEYS, (key, begin, origin[1], node_id, at, "*"), strict=True))
        return key

    def linked_out(self, origin: _Origin, index: int, key: Any) -> Any:
        """Link an output of the subgraph; gives the link's id."""
        if origin[0] == _OUTSIDE or origin in self._led_out:
            origin = self._reroute(origin)
        self._led_out.add(origin)
        return self.linked(origin, SUBGRAPH_OUTPUTS, index, key)

    def write(self) -> None:
        """Put the links and what was added for them into the scope."""
        self._scope["nodes"] = [*nodes_of(self._scope), *self._reroutes]
        self._scope["links"] = list(self._links.values())
        leading_in: dict[int, list[Any]] = {}
        for key, link in self._links.items():
            if link["origin_id"] == SUBGRAPH_INPUTS:
                leading_in.setdefault(link["origin_slot"], []).append(key)
        for index, described in enumerate(items_of(self._scope, "inputs")):
            ids = described.get("linkIds")
            order = {key: at for at, key in enumerate(ids if isinstance(ids, list) else []) if is_link_id(key)}
            described["linkIds"] = sorted(leading_in.get(index, []), key=lambda key: order.get(key, len(order)))

    def _reroute(self, origin: _Origin) -> _Origin:
        node_id = f"reroute-{len(self._reroutes)}"
        slot = {"name": "", "type": "*", "link": self.linked(origin, node_id, 0, f"to-{node_id}")}
        self._reroutes.append({"id": node_id, "type": "Reroute", "mode": 0, "inputs": [slot], "outputs": []})
        return node_id, 0


def _bypass(node: Mapping[str, Any], index: int, wanted: str) -> int | None:
    """Which input a bypassed node hands on as one of its outputs; None for none."""
    kinds, outputs = [_type(slot) for slot in inputs_of(node)], outputs_of(node)
    if not 0 <= index < len(outputs):
        return None
    if wanted == "*":
        return index if index < len(kinds) else 0
    own = _type(outputs[index])
    fitting = [at for at, kind in enumerate(kinds) if _connects(kind, own) and _connects(kind, wanted)]
    if index in fitting:
        return index
    exact = [at for at, kind in enumerate(kinds) if kind == wanted]
    return next(iter(exact or fitting), None)


def _connects(one: str, other: str) -> bool:
    """Whether the editor joins slots of two types: `*` is all of them, `IMAGE,MASK` either."""
    kinds = [{each.strip().lower() for each in kind.split(",")} for kind in (one, other)]
    return "*" in (one, other) or not kinds[0].isdisjoint(kinds[1])


def _leading_out(output: Mapping[str, Any]) -> Any:
    ids = output.get("linkIds")
    return ids[0] if isinstance(ids, list) and ids else None


def _variable(node: Mapping[str, Any]) -> str:
    """The name under which a SetNode gives a value, and a GetNode takes it; empty for none."""
    values = node.get("widgets_values")
    name = values[0] if isinstance(values, list) and values else None
    return name if isinstance(name, str) else ""


def _type(slot: Mapping[str, Any]) -> str:
    kind = slot.get("type")
    return kind if isinstance(kind, str) and kind else "*"


def _origin(link: Mapping[str, Any]) -> _Origin | None:
    index = link.get("origin_slot")
    return (str(link.get("origin_id")), index) if isinstance(index, int) else None
