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
from engine.authoring.levels import SEEN, fingerprint, standings
from engine.authoring.library_page import GRAPHS, Card, library_page, parameters_page
from engine.catalog import Catalog
from engine.commands.check_command import checked
from engine.documents import read_json
from engine.known_nodes import known_nodes
from engine.nodes import NodeCatalogue, load_catalogue
from engine.snapshots.catalogues import with_packs
from engine.snapshots.shelf import SNAPSHOTS, snapshots_in

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """The files by their paths below docs/, as they are to be."""
    nodes = known_nodes()
    cards = _cards(nodes)
    found = {f"{GRAPHS}/{card.workflow.name}.svg": graph_picture(card.workflow, nodes) for card in cards}
    found["library.md"] = library_page(cards, nodes.version)
    found["parameters.md"] = parameters_page([card.workflow for card in cards])
    return found


def below_accepted() -> dict[str, str]:
    """The workflows of ComfyUI's own nodes that its release was not seen to accept as they are, with their level."""
    nodes, own = known_nodes(), load_catalogue()
    found = {}
    for card in _cards(nodes):
        level = card.standing(nodes.version)
        if _is_made_of(card.workflow.template, own) and level.level not in SEEN:
            found[card.workflow.name] = str(level)
    return found


def _cards(nodes: NodeCatalogue) -> list[Card]:
    recorded = json.loads((DOCS / "levels.json").read_text(encoding="utf-8"))
    checked_by = {version: set(_checked(catalogue)) for version, catalogue in _catalogues().items()}
    found = []
    for entry in Catalog([ROOT], nodes).entries():
        if entry.workflow is None:
            raise SystemExit(f"{entry.source.name} is broken: {entry.error}")
        name = entry.source.name
        digest = fingerprint(read_json(entry.source.template, label=name), read_json(entry.source.map, label=name))
        versions = [version for version, names in checked_by.items() if name in names]
        told = standings(name, digest, recorded, checked=versions, release=nodes.version)
        found.append(Card(entry.workflow, told))
    return found


def _catalogues() -> dict[str, NodeCatalogue]:
    """The node catalogues by version of ComfyUI: each has the packs that a ComfyUI of this version was seen with."""
    found = {(bundled := load_catalogue()).version: bundled}
    for each in snapshots_in(SNAPSHOTS).values():
        if each.nodes.is_file():
            nodes = NodeCatalogue.load(each.nodes)
            found[nodes.version] = with_packs(found[nodes.version], [nodes]) if nodes.version in found else nodes
    return found


def _checked(nodes: NodeCatalogue) -> Iterator[str]:
    """The workflows whose classes a catalogue has, and that are without an error by it."""
    for entry in Catalog([ROOT], nodes).entries():
        has_all = entry.workflow is not None and _is_made_of(entry.workflow.template, nodes)
        if has_all and not checked(entry, nodes).fails(strict=False):
            yield entry.source.name


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
