"""The node catalogue that workflows are checked against, where there are snapshots."""

from __future__ import annotations

from engine.nodes import NodeCatalogue, load_catalogue
from engine.snapshots.lock import pack_of_module
from engine.snapshots.shelf import Shelved


def nodes_for(chosen: Shelved | None) -> NodeCatalogue | None:
    """The node catalogue of a snapshot: what its ComfyUI had, that and no more.

    Args:
        chosen: the snapshot. Where none was chosen, or it has no catalogue, None: what is known without one counts
            then, `engine.known_nodes`.

    Raises:
        InvalidMap: it can't be read.
    """
    return load_catalogue(chosen.nodes) if chosen and chosen.nodes.is_file() else None


def with_packs(base: NodeCatalogue, others: list[NodeCatalogue]) -> NodeCatalogue:
    """A catalogue with the classes of node packs that others have; ComfyUI's own are those of the first.

    A class whose description makes no sense is left out, so that it is in the way of nobody who does not use it.
    """
    nodes = dict(base.object_info)
    from_files = set(base.from_files)
    for other in others:
        for class_type, node in other.object_info.items():
            is_new = class_type not in nodes and pack_of_module(node.get("python_module"))
            if is_new and _is_understood(other, class_type):
                nodes[class_type] = node
                from_files |= {each for each in other.from_files if each.partition(".")[0] == class_type}
    return NodeCatalogue(nodes, version=base.version, from_files=from_files, live=base.live)


def _is_understood(nodes: NodeCatalogue, class_type: str) -> bool:
    try:
        return bool(nodes[class_type])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a file that anybody may have written
        return False
