"""The nodes whose results are returned, by what they save. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.graph import Graph, links
from engine.nodes import NodeCatalogue

_SHOWS = re.compile(r"preview|show|display|compare|viewer|debug|print|note", re.IGNORECASE)
_SAVES = re.compile(r"save|combine|export|write|send|websocket|upload|output", re.IGNORECASE)
_SAVES_AND_HANDS_ON = re.compile(r"^save|[ _|]save|Save[A-Z]|VideoCombine")
_KINDS_BY_TYPE = {
    "IMAGE": "image",
    "MASK": "image",
    "VIDEO": "video",
    "AUDIO": "audio",
    "STRING": "text",
    "MESH": "3d",
    "VOXEL": "3d",
    "TRIMESH": "3d",
    "FILE_3D": "3d",
    "SPLAT": "3d",
}
_KINDS_BY_CLASS = (
    (re.compile(r"video|mp4|webm", re.IGNORECASE), "video"),
    (re.compile(r"audio|mp3|flac|opus", re.IGNORECASE), "audio"),
    (re.compile(r"glb|mesh|3d|ply|splat", re.IGNORECASE), "3d"),
    (re.compile(r"text|string|any", re.IGNORECASE), "text"),
    (re.compile(r"image|mask|webp|png|gif", re.IGNORECASE), "image"),
)


def output_nodes(graph: Graph, nodes: NodeCatalogue) -> tuple[str, ...]:
    """The nodes that save something; those that only show it where nothing is saved.

    A class that the catalogue does not know saves if its name says so, or where no other node saves anything; one whose
    node is used by others, only if it is called after saving.
    """
    used = {link[0] for node in graph.values() for _, link in links(node)}
    saving, showing, unknown = [], [], []
    for node_id, node in graph.items():
        class_type = node["class_type"]
        spec = nodes.get(class_type)
        if spec is None and node_id in used and not _SAVES_AND_HANDS_ON.search(class_type):
            continue
        if spec is not None and not spec.is_output:
            continue
        if _SHOWS.search(class_type):
            showing.append(node_id)
        elif spec is not None or _SAVES.search(class_type):
            saving.append(node_id)
        else:
            unknown.append(node_id)
    seen = [each for each in showing if kind_of_output(graph, nodes, each) != "text"]
    return tuple(saving or unknown or seen or showing)


def declared_outputs(graph: Graph, nodes: NodeCatalogue, ends: Iterable[str]) -> dict[str, dict[str, str]]:
    """The `outputs` of a map: a name by kind, numbered from the second of a kind on."""
    declared: dict[str, dict[str, str]] = {}
    for node_id in ends:
        kind = kind_of_output(graph, nodes, node_id)
        base = {"3d": "model"}.get(kind or "", kind or "output")
        name, number = base, 2
        while name in declared:
            name, number = f"{base}_{number}", number + 1
        declared[name] = {"node": node_id, **({"kind": kind} if kind else {})}
    return declared


def kind_of_output(graph: Graph, nodes: NodeCatalogue, node_id: str) -> str | None:
    """What a node saves, by its class and by what is linked to it; None where neither tells."""
    class_type = graph[node_id]["class_type"]
    types: list[str] = []
    linked: list[str] = []
    for name, (source, index) in links(graph[node_id]):
        made_by = nodes.get(graph[source]["class_type"])
        own = nodes.input(class_type, name)
        types.append(own.type if own else "")
        types.append(made_by.outputs[index] if made_by and 0 <= index < len(made_by.outputs) else "")
        linked.append(types[-1] or types[-2])
    by_class = next((kind for pattern, kind in _KINDS_BY_CLASS if pattern.search(class_type)), None)
    by_type = [_KINDS_BY_TYPE[each] for each in types if each in _KINDS_BY_TYPE]
    by_type += ["3d" for each in types if each.startswith(("FILE_3D", "LOAD_3D"))]
    told = all(linked)
    if by_class == "video" and told and "VIDEO" not in types and not {"image", "video"} & set(by_type or ["video"]):
        by_class = None
    if "animated" in class_type.lower():
        return "image"
    if by_class in {"video", "audio", "3d"}:
        return by_class
    return by_type[0] if by_type else by_class
