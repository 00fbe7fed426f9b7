"""Where a graph uses files that are sent along with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.bindings import Place
from engine.errors import InvalidRequest, Problem
from engine.graph import Graph, label_of
from engine.nodes import NodeCatalogue
from engine.wording import did_you_mean, listed, shown

BUILT_IN = frozenset(
    {
        # ComfyUI's own, for a catalogue that lacks them.
        ("LoadImage", "image"),
        ("LoadImageMask", "image"),
        ("LoadImageOutput", "image"),
        ("LoadAudio", "audio"),
        ("LoadVideo", "file"),
        # A list of the input folder's files without the mark of an upload (ComfyUI 0.8.0, nodes.py).
        ("LoadLatent", "latent"),
        # VideoHelperSuite adds its upload buttons in the browser, so /object_info does not tell of them
        # (videohelpersuite/load_video_nodes.py and nodes.py). Its …Path classes take paths, not uploads.
        ("VHS_LoadVideo", "video"),
        ("VHS_LoadVideoFFmpeg", "video"),
        ("VHS_LoadAudioUpload", "audio"),
    }
)
"""Inputs, as class and name, that take uploaded files although the catalogue may not say so."""

_PICTURES = frozenset(entry for entry in BUILT_IN if entry[0].startswith("LoadImage"))

# `picture.png [input]`: the folder a loader looks in (ComfyUI 0.8.0, folder_paths.annotated_filepath).
_ANNOTATIONS = ("[input]", "[output]", "[temp]")


def media_places(graph: Graph, nodes: NodeCatalogue) -> dict[str, list[Place]]:
    """The files that a graph loads by name.

    Args:
        graph: a whole one.
        nodes: tells which inputs take uploads; best that of the running ComfyUI, which knows its custom nodes.

    Returns:
        The name, without the folder that may follow it (`picture.png [input]`) and with `/` between folders, to the
        inputs where it stands, both in the order of the graph.
    """
    found: dict[str, list[Place]] = {}
    for place, value in _texts(graph):
        if value and _takes_uploads(graph, place, nodes):
            found.setdefault(_plain(value), []).append(place)
    return found


def sent_places(graph: Graph, names: Iterable[str], nodes: NodeCatalogue) -> dict[str, list[Place]]:
    """Where a graph loads each file that was sent.

    Args:
        graph: a whole one.
        names: of the sent files, in whichever spelling.
        nodes: as for `media_places`.

    Raises:
        InvalidRequest: two of the names are the same file to the graph.
    """
    names = list(names)
    spelled: dict[str, str] = {}
    problems = [
        Problem("images", f"{shown(name)} and {shown(first)} are one name to the graph; each file has its own")
        for name in names
        if (first := spelled.setdefault(_plain(name), name)) != name
    ]
    if problems:
        raise InvalidRequest(problems=problems)
    return _at(media_places(graph, nodes), names)


def takes_pictures(graph: Graph, place: Place, nodes: NodeCatalogue) -> bool:
    """Whether an input that takes files takes pictures."""
    class_type = graph[place.node_id]["class_type"]
    spec = nodes.input(class_type, place.input_name)
    return (spec is not None and spec.uploads == "image") or (class_type, place.input_name) in _PICTURES


def _at(places: Mapping[str, list[Place]], names: Iterable[str]) -> dict[str, list[Place]]:
    return {name: places.get(_plain(name), []) for name in names}


def with_files(graph: Graph, names: Mapping[str, str], nodes: NodeCatalogue) -> tuple[Graph, list[str]]:
    """A graph that loads the files that were sent.

    Args:
        graph: a whole one; it is left as it is.
        names: of the sent files, to what ComfyUI knows them by.
        nodes: as for `media_places`.

    Returns:
        A copy with ComfyUI's names, and a warning for each sent file that no input loads.
    """
    places = media_places(graph, nodes)
    sent = _at(places, names)
    inputs = {node_id: dict(node.get("inputs", {})) for node_id, node in graph.items()}
    unused = []
    for name, known_as in names.items():
        for place in sent[name]:
            inputs[place.node_id][place.input_name] = known_as
        if not sent[name]:
            unused.append(_unused(name, graph, places))
    return {node_id: {**node, "inputs": inputs[node_id]} for node_id, node in graph.items()}, unused


def _texts(graph: Graph) -> Iterator[tuple[Place, str]]:
    for node_id, node in graph.items():
        for name, value in node.get("inputs", {}).items():
            if isinstance(value, str):
                yield Place(node_id, name), value


def _takes_uploads(graph: Graph, place: Place, nodes: NodeCatalogue) -> bool:
    class_type = graph[place.node_id]["class_type"]
    spec = nodes.input(class_type, place.input_name)
    return (spec is not None and bool(spec.uploads)) or (class_type, place.input_name) in BUILT_IN


def _plain(name: str) -> str:
    """A name as two spellings of it agree: no folder behind it, and Windows' separators as all others'."""
    plain = name.strip()
    for annotation in _ANNOTATIONS:
        if plain.endswith(annotation):
            plain = plain.removesuffix(annotation).rstrip()
            break
    return plain.replace("\\", "/")


def _unused(name: str, graph: Graph, places: Mapping[str, list[Place]]) -> str:
    elsewhere = [place for place, value in _texts(graph) if _plain(value) == _plain(name)]
    if elsewhere:
        where = listed(f"{label_of(graph, place.node_id)}.{place.input_name}" for place in elsewhere)
        return f"the sent file {shown(name)} was not used: its name stands at {where}, which takes no uploaded file"
    guess = did_you_mean(_plain(name), places)
    loaded = f"; it loads: {listed(places)}" if places and not guess else ""
    return f"the sent file {shown(name)} was not used: the graph does not load it{guess}{loaded}"
