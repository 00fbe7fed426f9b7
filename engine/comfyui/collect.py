"""From what ComfyUI's history says of the nodes to the files of the declared outputs.

The keys that nodes report under were read off ComfyUI 0.3.64 and 0.8.0 and the common node packs: `images`
(also for videos, with `animated`), `gifs` (videos of VideoHelperSuite), `videos`, `audio`, `3d`, `files` and
others hold lists of `{filename, subfolder, type}`; `text` holds strings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from engine.comfyui.client import ComfyClient
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
    execution: Execution, declared: Sequence[Declared], *, originals: Mapping[str, str] | None = None
) -> list[RawOutput]:
    """The outputs of an execution, in the order they are declared in.

    With none declared, whatever any node made is one, under the node's id; previews (files that ComfyUI
    keeps in its `temp` folder) are then left out if any node saved a file.

    Args:
        execution: a finished one.
        declared: the outputs of the parameter map.
        originals: the nodes of the rendered graph that are copies, to the node of the template.

    Raises:
        NoOutputs: none of them came.
    """
    originals = originals or {}
    found: list[RawOutput] = []
    if declared:
        for name, node_id, kind in declared:
            nodes = [node for node in execution.outputs if originals.get(node, node) == node_id]
            made = [output for node in nodes for output in _of_node(execution.outputs[node], name, node_id)]
            found += _numbered(_of_kind(made, kind))
    else:
        for node, reported in execution.outputs.items():
            node_id = originals.get(node, node)
            found += _of_node(reported, node_id, node_id)
        if any(output.type == "output" and output.filename for output in found):
            found = [output for output in found if output.type != "temp"]
        found = _numbered(found)
    if found:
        return found

    wanted = ", ".join(f"{name} (node {node_id})" for name, node_id, _ in declared)
    raise NoOutputs(
        f"the graph ran and made none of the declared outputs: {wanted}" if wanted else "the graph made nothing",
        hint="a node that saves to a file (SaveImage) is needed; one that sends over the websocket "
        "(SaveImageWebsocket) leaves nothing to collect",
    )


def collect(
    client: ComfyClient, raw: Sequence[RawOutput], folder: Path, *, output_folder: Path | None = None
) -> list[tuple[RawOutput, Path | None]]:
    """Bring the files of outputs to this machine.

    Args:
        client: to fetch them with.
        raw: what `raw_outputs` gave.
        folder: where fetched files go.
        output_folder: ComfyUI's own output folder, where it is on this machine: files in it are given where
            they are, and are ComfyUI's.

    Returns:
        Each output with its file; None for text.

    Raises:
        NoOutputs: ComfyUI no longer has a file that it names.
        ComfyUnavailable: it does not answer.
    """
    collected: list[tuple[RawOutput, Path | None]] = []
    for position, output in enumerate(raw):
        if not output.filename:
            collected.append((output, None))
            continue
        path = _shared(output, output_folder)
        if path is None:
            path = folder / f"{position:03d}-{_plain_name(output.filename)}"
            client.download(output.filename, output.subfolder, output.type, path)
        collected.append((output, path))
    return collected


def _of_node(reported: Mapping[str, Any], name: str, node_id: str) -> Iterator[RawOutput]:
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
            elif key == "text" and isinstance(value, str):
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


def _shared(output: RawOutput, output_folder: Path | None) -> Path | None:
    if output_folder is None or output.type != "output":
        return None
    root = output_folder.resolve()
    path = (root / output.subfolder / output.filename).resolve()
    # The name came over the network: only a file inside the folder is taken from it.
    return path if path.is_relative_to(root) and path.is_file() else None


def _plain_name(filename: str) -> str:
    name = filename.replace("\\", "/").rpartition("/")[2] or "file"
    while len(name.encode()) > _LONGEST_NAME_BYTES:
        name = name[1:]  # from the front: the suffix matters
    return name
