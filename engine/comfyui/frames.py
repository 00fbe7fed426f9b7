"""The pictures that a node sends over the websocket instead of saving them.

`SaveImageWebsocket` (in ComfyUI's own custom_nodes) sends each picture as a PNG frame and leaves nothing in the
history, so what the socket loses is lost: the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.comfyui.events import Event

SENDING_CLASSES = frozenset({"SaveImageWebsocket"})
"""Node classes whose frames are results; all others send previews of what they are at."""

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}


class Frames:
    """Keeps the frames of one execution, as files.

    Args:
        graph: the rendered graph.
        folder: where to; None keeps none.
    """

    def __init__(self, graph: Mapping[str, Any], folder: Path | None) -> None:
        self._folder = folder
        self._found: dict[str, list[Path]] = {
            node_id: [] for node_id, node in graph.items() if node.get("class_type") in SENDING_CLASSES
        }

    @property
    def awaited(self) -> bool:
        """Whether a node of the graph sends pictures that are to be kept."""
        return bool(self._found) and self._folder is not None

    def take(self, event: Event) -> None:
        """Keep the picture of a frame, if its node's pictures are results."""
        paths = self._found.get(str(event.data["node"]))
        if paths is None or self._folder is None:
            return
        suffix = _SUFFIXES.get(event.data["content_type"], ".png")
        # Numbers alone: a node's id may hold anything.
        node = list(self._found).index(str(event.data["node"])) + 1
        path = self._folder / f"websocket_{node}_{len(paths) + 1:05}{suffix}"
        path.write_bytes(event.data["picture"])
        paths.append(path)

    def missing(self) -> list[str]:
        """The nodes that should have sent pictures and sent none."""
        return [node_id for node_id, paths in self._found.items() if not paths] if self._folder is not None else []

    def found(self) -> dict[str, tuple[Path, ...]]:
        """Node id to its pictures, in the order they came."""
        return {node_id: tuple(paths) for node_id, paths in self._found.items() if paths}
