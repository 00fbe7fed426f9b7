"""From what ComfyUI's history says of the nodes to the files of the declared outputs.

The keys that nodes report under were read off ComfyUI 0.3.64 and 0.8.0 and the common node packs: `images` (also for
videos, with `animated`), `gifs` (videos of VideoHelperSuite), `videos`, `audio`, `3d`, `latents`, `files` and others
hold lists of `{filename, subfolder, type}`; `text` holds strings; `result` of the 3D viewers begins with the path of a
model. Whatever else looks like a file of ComfyUI's is one, of unknown kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from engine.cancellation import CancellationToken
from engine.comfyui.client import ComfyClient
from engine.comfyui.folders import SharedFolders
from engine.errors import NoOutputs
from engine.results import Execution, OutputKind, RawOutput

Declared = tuple[str, str, OutputKind | None]
"""An output of the parameter map: its name, its node, and its kind where the map says it."""

_OF_KEY: dict[str, OutputKind] = {
    "images": "image",
    "gifs": "video",
    "videos": "video",
    "video": "video",
    "audio": "audio",
    "3d": "3d",
}
_OF_SUFFIX: dict[str, OutputKind] = {
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "gif", "avif", "bmp", "tif", "tiff", "apng"), "image"),
    **dict.fromkeys(("mp4", "webm", "mov", "mkv", "avi", "m4v"), "video"),
    **dict.fromkeys(("flac", "mp3", "wav", "ogg", "opus", "m4a", "aac"), "audio"),
    **dict.fromkeys(("glb", "gltf", "obj", "stl", "ply", "fbx", "usdz", "splat", "spz"), "3d"),
    **dict.fromkeys(("txt", "json", "csv", "srt", "safetensors", "latent", "zip", "exr", "hdr"), "file"),
}
_LONGEST_NAME_BYTES = 200


def raw_outputs(
    execution: Execution,
    declared: Sequence[Declared],
    *,
    originals: Mapping[str, str] | None = None,
    previews: bool = False,
) -> list[RawOutput]:
    """The outputs of an execution, in the order they are declared in.

    With none declared, whatever any node made is one, under the node's id; previews (files that ComfyUI
    keeps in its `temp` folder) are then left out if any node saved a file.

    Args:
        execution: a finished one.
        declared: the outputs of the parameter map.
        originals: the nodes of the rendered graph that are copies, to the node of the template, in the order of their
            row: so come their outputs, whichever ComfyUI ran first.
        previews: whether previews are outputs too: under the id of their node where no output declares them.

    Raises:
        NoOutputs: none of them came.
    """
    originals = originals or {}
    reporting = _in_rows(
        [*execution.outputs, *(node for node in execution.frames if node not in execution.outputs)], originals
    )
    found: list[RawOutput] = []
    if declared:
        for name, node_id, kind in declared:
            nodes = [node for node in reporting if originals.get(node, node) == node_id]
            made = [output for node in nodes for output in _made_by(node, execution, name, node_id, kind)]
            found += _numbered(_of_kind(made, kind))
        if previews:
            others = [node for node in reporting if originals.get(node, node) not in {each[1] for each in declared}]
            named = [(node, originals.get(node, node)) for node in others]
            shown = [each for node, node_id in named for each in _made_by(node, execution, node_id, node_id, None)]
            found += _numbered([each for each in shown if each.type == "temp"])
    else:
        for node in reporting:
            node_id = originals.get(node, node)
            found += _made_by(node, execution, node_id, node_id, None)
        if not previews and any(output.type != "temp" and output.filename for output in found):
            found = [output for output in found if output.type != "temp"]
        found = _numbered(found)
    if found:
        return found

    wanted = ", ".join(f"{name} (node {node_id})" for name, node_id, _ in declared)
    raise NoOutputs(
        f"the graph ran and made none of the declared outputs: {wanted}" if wanted else "the graph made nothing",
        hint="a node that saves to a file (SaveImage) is needed; pictures that are sent over the websocket "
        "(SaveImageWebsocket) are lost if the connection breaks",
    )


def collect(
    client: ComfyClient,
    raw: Sequence[RawOutput],
    folder: Path,
    *,
    folders: SharedFolders | None = None,
    cancel: CancellationToken | None = None,
) -> list[tuple[RawOutput, Path | None]]:
    """Bring the files of outputs to this machine.

    Args:
        client: to fetch them with.
        raw: what `raw_outputs` gave.
        folder: where fetched files go.
        folders: ComfyUI's own, where they are on this machine: files in them are given where they are, and are
            ComfyUI's.
        cancel: looked at while they arrive.

    Returns:
        Each output with its file; None for text.

    Raises:
        Cancelled: the job was cancelled.
        ResultGone: ComfyUI no longer has a file that it names.
        ComfyUnavailable: it does not answer.
    """
    collected: list[tuple[RawOutput, Path | None]] = []
    for position, output in enumerate(raw):
        if not output.filename:
            collected.append((output, None))
            continue
        path = output.path or (folders.file(output) if folders else None)
        if path is None:
            path = folder / f"{position:03d}-{_plain_name(output.filename)}"
            client.download(output.filename, output.subfolder, output.type, path, cancel=cancel)
        collected.append((output, path))
    return collected


def _in_rows(reporting: Sequence[str], originals: Mapping[str, str]) -> list[str]:
    """The nodes with the copies of each behind it, in the order of their row."""
    places = {node: place for place, node in enumerate(originals, start=1)}  # a node stands before its copies
    rows: dict[str, list[str]] = {}
    for node in reporting:
        rows.setdefault(originals.get(node, node), []).append(node)
    return [node for row in rows.values() for node in sorted(row, key=lambda each: places.get(each, 0))]


def _made_by(node: str, execution: Execution, name: str, node_id: str, kind: OutputKind | None) -> Iterator[RawOutput]:
    yield from _of_node(execution.outputs.get(node) or {}, name, node_id, any_text=kind == "text")
    for path in execution.frames.get(node, ()):
        yield RawOutput(
            name=name, index=0, kind="image", node_id=node_id, filename=path.name, type="websocket", path=path
        )


def _of_node(reported: Mapping[str, Any], name: str, node_id: str, *, any_text: bool) -> Iterator[RawOutput]:
    for key, values in reported.items():
        for value in values if isinstance(values, list | tuple) else [values]:
            if isinstance(value, Mapping) and isinstance(value.get("filename"), str) and value["filename"]:
                yield RawOutput(
                    name=name,
                    index=0,
                    kind=_kind(key, value["filename"]),
                    node_id=node_id,
                    filename=value["filename"],
                    subfolder=str(value.get("subfolder") or ""),
                    type=str(value.get("type") or "output"),
                )
            elif key == "result" and isinstance(value, str) and _kind("", value) == "3d":
                # The viewers of 3D models name the file by its path in the output folder (ComfyUI 0.8, nodes_load_3d).
                subfolder, _, filename = value.replace("\\", "/").rpartition("/")
                yield RawOutput(name=name, index=0, kind="3d", node_id=node_id, filename=filename, subfolder=subfolder)
            elif isinstance(value, str) and (any_text or key == "text"):
                yield RawOutput(name=name, index=0, kind="text", node_id=node_id, text=value)


def _kind(key: str, filename: str) -> OutputKind:
    suffix = PurePosixPath(filename).suffix.removeprefix(".").lower()
    return _OF_SUFFIX.get(suffix) or _OF_KEY.get(key, "file")


def _of_kind(made: list[RawOutput], kind: OutputKind | None) -> list[RawOutput]:
    """Those of the declared kind; where none is, the files as that kind: the author knows their node."""
    if kind is None:
        return made
    matching = [output for output in made if output.kind == kind]
    if matching or kind == "text":
        return matching
    return [replace(output, kind=kind) for output in made if output.filename]


def _numbered(outputs: list[RawOutput]) -> list[RawOutput]:
    counts: dict[str, int] = {}
    numbered = []
    for output in outputs:
        index = counts.get(output.name, 0)
        counts[output.name] = index + 1
        numbered.append(replace(output, index=index))
    return numbered


def _plain_name(filename: str) -> str:
    name = filename.replace("\\", "/").rpartition("/")[2] or "file"
    while len(name.encode()) > _LONGEST_NAME_BYTES:
        name = name[1:]  # from the front: the suffix matters
    return name
