"""The node classes that are known without a ComfyUI: its own, and those of the node packs that snapshots have."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from engine.errors import InvalidMap
from engine.nodes import NodeCatalogue, load_catalogue
from engine.snapshots.catalogues import with_packs
from engine.snapshots.shelf import SNAPSHOTS, snapshots_in

log = logging.getLogger(__name__)


def nodes_with(classes: Iterable[str]) -> NodeCatalogue:
    """The node catalogue for a graph of these classes: the bundled one, with the packs where it lacks one of them.

    So the snapshots are read for workflows alone that want a node pack, once a process.
    """
    bundled = load_catalogue()
    return bundled if all(each in bundled for each in classes) else known_nodes()


@lru_cache(maxsize=4)
def known_nodes(folder: Path = SNAPSHOTS) -> NodeCatalogue:
    """The bundled node catalogue, with the classes of the node packs of all snapshots in a folder.

    What a class of a pack looks like is that of the first snapshot by name. A catalogue that can't be read takes
    nothing from anybody: its packs are not known, and the log says so.
    """
    others = []
    for each in snapshots_in(folder).values():
        try:
            if each.nodes.is_file():
                others.append(NodeCatalogue.load(each.nodes))
        except InvalidMap as error:
            log.warning("the snapshot %s is not used: %s", each.name, error)
    return with_packs(load_catalogue(), others) if others else load_catalogue()
