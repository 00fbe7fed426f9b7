"""What is not even tried: graphs that were made to be a burden, and those that can't be converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.ui_format.problems import EXPORT_API, NotConverted
from engine.ui_format.reading import SUBGRAPH_INPUTS, inputs_of, items_of, links_of, nodes_of, subgraphs_of
from engine.wording import listed

MOST_NODES = 5000
"""Far more than anyone has drawn, those in subgraphs counted once for each instance."""

MOST_LEVELS = 10
"""Of subgraphs in subgraphs: comfy-cli (1.23) leaves what is deeper as it is."""

_MOST_LINKS = 50_000  # and input slots; counted as nodes are
_MOST_NESTING = 100  # of lists and objects in the document

# For each input of a subgraph that leads on to one of an inner subgraph, comfy-cli looks at all of that one's inputs,
# and so on: thirty at three levels take half a second, eight at nine levels hours.
_MOST_LOOKS = 100_000


def check(document: Mapping[str, Any]) -> None:
    """Look at a document in UI format before it is given to another program.

    Args:
        document: as strict JSON gives it.

    Raises:
        NotConverted: it is too large or too deep, or its subgraphs hold themselves.
    """
    if _too_deep(document):
        raise NotConverted(f"it is nested more than {_MOST_NESTING} levels deep")
    subgraphs = subgraphs_of(document)
    scopes = (document, *subgraphs.values())
    for scope in scopes:
        _check_nodes(nodes_of(scope))
    counts = _Counts(subgraphs).of(document)
    for count, most, what in (
        (counts.nodes, MOST_NODES, "nodes"),
        (counts.links, _MOST_LINKS, "links and inputs"),
        (counts.looks, _MOST_LOOKS, "ways through the inputs"),
    ):
        if count > most:
            raise NotConverted(f"it has {count} {what} with those of its subgraphs, and at most {most} are taken")
    types = {node["type"] for scope in scopes for node in nodes_of(scope)}
    if old := sorted(each for each in types if each.startswith(("workflow>", "workflow/"))):
        raise NotConverted(
            f"it has group nodes, which no ComfyUI can run as they are: {listed(old)}",
            hint=f"in ComfyUI choose Convert to nodes, or to a subgraph, and export again; or {EXPORT_API}",
        )


def _check_nodes(nodes: list[dict[str, Any]]) -> None:
    """The nodes that stand beside each other."""
    if without := [str(node.get("id")) for node in nodes if not isinstance(node.get("type"), str)]:
        raise NotConverted(f"it has nodes without a type: {listed(without)}")
    ids = Counter(str(node.get("id")) for node in nodes)
    if twice := [node_id for node_id, times in ids.items() if times > 1]:
        raise NotConverted(f"it has several nodes with one id: {listed(twice)}")


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a document or a subgraph holds once its subgraphs are put in."""

    nodes: int = 0
    links: int = 0
    looks: int = 0

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(self.nodes + other.nodes, self.links + other.links, self.looks + other.looks)


class _Counts:
    """Counts what subgraphs hold; each subgraph once, however many instances it has."""

    def __init__(self, subgraphs: Mapping[str, Mapping[str, Any]]) -> None:
        self._subgraphs = subgraphs
        self._known: dict[tuple[str, int], _Sum] = {}

    def of(self, scope: Mapping[str, Any], path: tuple[str, ...] = ()) -> _Sum:
        """The sum for a document or a subgraph."""
        total = _Sum(links=sum(1 for _ in links_of(scope)))
        leading_in = Counter(str(link.get("target_id")) for link in links_of(scope) if _leads_in(link))
        for node in nodes_of(scope):
            total += _Sum(links=len(inputs_of(node)))
            inner = node["type"]
            if inner not in self._subgraphs:
                total += _Sum(nodes=1)
                continue
            if inner in path:
                name = self._subgraphs[inner].get("name") or inner
                raise NotConverted(f'its subgraph "{name}" holds itself')
            if len(path) >= MOST_LEVELS - 1:
                raise NotConverted(f"its subgraphs are nested more than {MOST_LEVELS - 1} levels deep")
            if (inner, len(path)) not in self._known:
                self._known[inner, len(path)] = self.of(self._subgraphs[inner], (*path, inner))
            below = self._known[inner, len(path)]
            total += _Sum(below.nodes, below.links, below.looks * (1 + leading_in[str(node.get("id"))]))
        return total + _Sum(looks=len(items_of(scope, "inputs")))


def _leads_in(link: Mapping[str, Any]) -> bool:
    return link.get("origin_id") == SUBGRAPH_INPUTS


def _too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(_MOST_NESTING):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
