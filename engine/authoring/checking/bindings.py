"""Paths that hold today and may not after the next export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.graph import label_of, title_of
from engine.map_parts import Computed
from engine.wording import listed, shown

DUPLICATE_TITLE = code(
    "duplicate_title",
    "warning",
    "A path looks for a node by a title that several nodes have.",
    "give the node a title of its own in ComfyUI and export again, or name it by its id",
)
NOT_EXPECTED = code(
    "not_expected",
    "note",
    "A node that the map binds to is not named in `expects`: if its id moves, the next export is not found out.",
    "add it to `expects`",
)

_TITLE = re.compile(r"""_meta(?:['"]\])?(?:\.title|\[['"]title['"]\])\s*==?\s*(?:'([^']*)'|"([^"]*)")""")


def duplicate_titles(subject: Subject) -> Iterator[Finding]:
    """Filters by title, of paths that are meant for one node."""
    if subject.parameter_map is None:
        return
    paths: list[tuple[str, str]] = []
    for name, parameter in subject.parameters.items():
        paths += [(f"parameters.{name}.bind", each.path) for each in parameter.bindings if each.match == "one"]
    for path, computed in subject.parameter_map.computed.items():
        if not isinstance(computed, Computed) or computed.match == "one":
            paths.append((f"computed.{path}", path))
    for where, path in paths:
        for found in _TITLE.findall(path):
            title = found[0] or found[1]
            having = [each for each, node in subject.graph.items() if title_of(node) == title]
            if len(having) > 1:
                names = listed(label_of(subject.graph, each) for each in having)
                yield DUPLICATE_TITLE.at(subject.map, where, f"the title {shown(title)} is that of {names}")


def not_expected(subject: Subject) -> Iterator[Finding]:
    """The nodes that the map names and `expects` does not, in one finding that says what to add."""
    parameter_map = subject.parameter_map
    if parameter_map is None:
        return
    bound = dict.fromkeys(place.node_id for place in subject.written)
    bound |= dict.fromkeys(output.node for output in parameter_map.outputs.values() if output.node in subject.graph)
    missing = {each: subject.graph[each]["class_type"] for each in bound if each not in parameter_map.expects}
    if missing:
        names = listed((label_of(subject.graph, each) for each in missing), most=5)
        text = json.dumps(missing, ensure_ascii=False)
        yield NOT_EXPECTED.at(
            subject.map, "expects", f"it does not name {names}", remedy=f"add to expects: {text[1:-1]}"
        )
