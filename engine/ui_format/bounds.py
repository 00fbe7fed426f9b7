"""What is not even tried: graphs that were made to be a burden, and those that can't be converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from engine.ui_format.problems import EXPORT_API, NotConverted
from engine.ui_format.reading import links_of, nodes_of, subgraphs_of
from engine.wording import listed

MOST_NODES = 5000
"""Far more than anyone has drawn, those in subgraphs counted once for each instance."""

MOST_LEVELS = 10
"""Of subgraphs in subgraphs: comfy-cli (1.23) leaves what is deeper as it is."""

_MOST_LINKS = 50_000
_MOST_NESTING = 100  # of lists and objects in the document


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
    links = sum(1 for scope in (document, *subgraphs.values()) for _ in links_of(scope))
    if links > _MOST_LINKS:
        raise NotConverted(f"it has {links} links, and at most {_MOST_LINKS} are taken")
    count = _Count(subgraphs).of(document)
    if count > MOST_NODES:
        raise NotConverted(f"it has {count} nodes with those of its subgraphs, and at most {MOST_NODES} are taken")
    if old := sorted({node_type for node_type in _types(document) if node_type.startswith(("workflow>", "workflow/"))}):
        raise NotConverted(
            f"it has group nodes, which no ComfyUI can run as they are: {listed(old)}",
            hint=f"in ComfyUI choose Convert to nodes, or to a subgraph, and export again; or {EXPORT_API}",
        )
    ids = Counter(str(node.get("id")) for node in nodes_of(document))
    if twice := [node_id for node_id, times in ids.items() if times > 1]:
        raise NotConverted(f"it has several nodes with one id: {listed(twice)}")


class _Count:
    """Counts nodes; each subgraph once, however many instances it has."""

    def __init__(self, subgraphs: Mapping[str, Mapping[str, Any]]) -> None:
        self._subgraphs = subgraphs
        self._known: dict[tuple[str, int], int] = {}

    def of(self, scope: Mapping[str, Any], path: tuple[str, ...] = ()) -> int:
        """The nodes of a document or a subgraph once its subgraphs are put in."""
        total = 0
        for node in nodes_of(scope):
            inner = str(node.get("type"))
            if inner not in self._subgraphs:
                total += 1
                continue
            if inner in path:
                name = self._subgraphs[inner].get("name") or inner
                raise NotConverted(f'its subgraph "{name}" holds itself')
            if len(path) >= MOST_LEVELS - 1:
                raise NotConverted(f"its subgraphs are nested more than {MOST_LEVELS - 1} levels deep")
            if (inner, len(path)) not in self._known:
                self._known[inner, len(path)] = self.of(self._subgraphs[inner], (*path, inner))
            total += self._known[inner, len(path)]
        return total


def _types(document: Mapping[str, Any]) -> list[str]:
    scopes = (document, *subgraphs_of(document).values())
    return [str(node.get("type")) for scope in scopes for node in nodes_of(scope)]


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
