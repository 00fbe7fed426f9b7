"""Write the pages about the library: docs/library.md, docs/parameters.md and docs/graphs/.

With --strict nothing is written: the status is 1 where a workflow of ComfyUI's own nodes was not accepted, as it now
is, by the ComfyUI that the node catalogue is of.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.authoring.graph_picture import graph_picture
from engine.authoring.levels import LEVELS, fingerprint, standings
from engine.authoring.library_page import GRAPHS, Card, library_page, parameters_page
from engine.catalog import Catalog, Entry
from engine.commands.check_command import checked
from engine.documents import read_json
from engine.known_nodes import known_nodes
from engine.nodes import NodeCatalogue, load_catalogue

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """The files by their paths below docs/, as they are to be."""
    nodes = _nodes()
    cards = [_card(entry, nodes) for entry in _entries(nodes)]
    found = {f"{GRAPHS}/{card.workflow.name}.svg": graph_picture(card.workflow, nodes) for card in cards}
    found["library.md"] = library_page(cards, nodes.version)
    found["parameters.md"] = parameters_page([card.workflow for card in cards])
    return found


def below_accepted() -> dict[str, str]:
    """The workflows of ComfyUI's own nodes that its release was not seen to accept as they are, with their level."""
    nodes, own = _nodes(), load_catalogue()
    found = {}
    for entry in _entries(nodes):
        card = _card(entry, nodes)
        level = card.standings[[each.version for each in card.standings].index(nodes.version)]
        if _is_made_of(card.workflow.template, own) and LEVELS.index(level.level) > LEVELS.index("accepted"):
            found[card.workflow.name] = str(level)
    return found


def _nodes() -> NodeCatalogue:
    return known_nodes()


def _entries(nodes: NodeCatalogue) -> Iterator[Entry]:
    return Catalog([ROOT], nodes).entries()


def _card(entry: Entry, nodes: NodeCatalogue) -> Card:
    if entry.workflow is None:
        raise SystemExit(f"{entry.source.name} is broken: {entry.error}")
    source = entry.source
    digest = fingerprint(read_json(source.template, label=source.name), read_json(source.map, label=source.name))
    is_checked = _is_made_of(entry.workflow.template, nodes) and not checked(entry, nodes).fails(strict=False)
    recorded = json.loads((DOCS / "levels.json").read_text(encoding="utf-8"))
    return Card(entry.workflow, standings(source.name, digest, recorded, checked=is_checked, release=nodes.version))


def _is_made_of(template: dict[str, dict[str, Any]], nodes: NodeCatalogue) -> bool:
    return all(node["class_type"] in nodes for node in template.values())


def write() -> None:
    """Write what is not as it is to be, and take away pictures of workflows that are gone."""
    made = pages()
    (DOCS / GRAPHS).mkdir(exist_ok=True)
    for path in (DOCS / GRAPHS).glob("*.svg"):
        if f"{GRAPHS}/{path.name}" not in made:
            path.unlink()
    for name, text in made.items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--strict" not in sys.argv[1:]:
        write()
    elif low := below_accepted():
        for name, level in low.items():
            print(f"{name}: {level}", file=sys.stderr)  # noqa: T201 - a script's own words
        sys.exit("make levels COMFY_HOME=… tries them on a real ComfyUI")
