"""The pictures that a node sends over the websocket instead of saving them.

`SaveImageWebsocket` (in ComfyUI's own custom_nodes) sends each picture as a PNG frame and leaves nothing in the
history, so what the socket loses is lost: the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.comfyui.events import FRAME, Event
from engine.errors import StorageError

SENDING_CLASSES = frozenset({"SaveImageWebsocket"})
"""Node classes whose frames are results; all others send previews of what they are at."""

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}


class Frames:
    """Keeps the frames of one execution, as files.

    Args:
        graph: the rendered graph.
        folder: where to, made with the first; None keeps none.
    """

    def __init__(self, graph: Mapping[str, Any], folder: Path | None) -> None:
        self._folder = folder
        self._found: dict[str, list[Path]] = {
            node_id: [] for node_id, node in graph.items() if node.get("class_type") in SENDING_CLASSES
        }
        self._announced: dict[str, int] = {}

    @property
    def awaited(self) -> bool:
        """Whether a node of the graph sends pictures that are to be kept."""
        return bool(self._found) and self._folder is not None

    def take(self, event: Event) -> None:
        """Keep the picture of a frame, if its node's pictures are results.

        Such a node tells how many it sends as the steps of its progress.

        Raises:
            StorageError: this machine's disk does not take it.
        """
        node_id = str(event.data.get("node"))
        if event.type == "progress" and node_id in self._found:
            self._announced[node_id] = int(event.data.get("max", 0))
        if event.type != FRAME:
            return
        paths = self._found.get(node_id)
        if paths is None or self._folder is None:
            return
        suffix = _SUFFIXES.get(event.data["content_type"], ".png")
        # Numbers alone: a node's id may hold anything.
        node = list(self._found).index(node_id) + 1
        path = self._folder / f"websocket_{node}_{len(paths) + 1:05}{suffix}"
        try:
            self._folder.mkdir(exist_ok=True)
            path.write_bytes(event.data["picture"])
        except OSError as error:
            raise StorageError(
                f"a picture that was sent over the websocket could not be written to the worker's disk: "
                f"{error.strerror}",
                hint="the operator makes room in the worker's temporary folder",
                detail=str(error),
            ) from error
        paths.append(path)

    def missing(self) -> list[str]:
        """The nodes that should have sent pictures, or more of them than came."""
        if self._folder is None:
            return []
        return [node_id for node_id, paths in self._found.items() if len(paths) < self._announced.get(node_id, 1)]

    def found(self) -> dict[str, tuple[Path, ...]]:
        """Node id to its pictures, in the order they came."""
        return {node_id: tuple(paths) for node_id, paths in self._found.items() if paths}
