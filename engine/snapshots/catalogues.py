"""The node catalogue that workflows are checked against, where there are snapshots."""

from __future__ import annotations

from pathlib import Path

from engine.nodes import NodeCatalogue, load_catalogue
from engine.snapshots.lock import pack_of_module
from engine.snapshots.shelf import SNAPSHOTS, Shelved, snapshots_in


def nodes_for(chosen: Shelved | None, folder: Path = SNAPSHOTS) -> NodeCatalogue | None:
    """The node catalogue to check against; None where the bundled one says all there is to say.

    Args:
        chosen: a snapshot: what its ComfyUI had, that and no more. Where it has no catalogue, None.
        folder: of the snapshots. Without a chosen one, the bundled catalogue with the classes of all their packs; what
            a class of a pack looks like is then that of the first of them.

    Raises:
        InvalidMap: one of them can't be read.
    """
    if chosen:
        return load_catalogue(chosen.nodes) if chosen.nodes.is_file() else None
    others = [load_catalogue(each.nodes) for each in snapshots_in(folder).values() if each.nodes.is_file()]
    return with_packs(load_catalogue(), others) if others else None


def with_packs(base: NodeCatalogue, others: list[NodeCatalogue]) -> NodeCatalogue:
    """A catalogue with the classes of node packs that others have; ComfyUI's own are those of the first."""
    nodes = dict(base.object_info)
    from_files = set(base.from_files)
    for other in others:
        for class_type, node in other.object_info.items():
            if class_type not in nodes and pack_of_module(node.get("python_module")):
                nodes[class_type] = node
                from_files |= {each for each in other.from_files if each.partition(".")[0] == class_type}
    return NodeCatalogue(nodes, version=base.version, from_files=from_files, live=base.live)
