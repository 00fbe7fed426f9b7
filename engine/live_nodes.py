"""The node catalogue of the running ComfyUI, read once and again when it may have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.nodes import NodeCatalogue


class HasNodes(Protocol):
    """What can be asked for its node classes; `engine.comfyui.ComfyUI` can."""

    def node_catalogue(self) -> NodeCatalogue:
        """Read the node classes, with the files they can use, from the running ComfyUI."""


class LiveNodes:
    """What the running ComfyUI has; one for the process.

    Args:
        comfy: gives the ComfyUI, which must be up when it is asked.
    """

    def __init__(self, comfy: Callable[[], HasNodes]) -> None:
        self._comfy = comfy
        self.known: NodeCatalogue | None = None
        self._outdated = False

    def outdated(self) -> None:
        """A file or a class is there that was not: what is known is read again when it is next used."""
        self._outdated = True

    def get(self, *, refresh: bool = False) -> NodeCatalogue:
        """The node catalogue, read once, or again.

        Raises:
            ComfyUnavailable: ComfyUI does not answer.
        """
        if self.known is None or refresh or self._outdated:
            self._outdated = False  # before it is read: what comes meanwhile may not be in it
            try:
                self.known = self._comfy().node_catalogue()
            except BaseException:
                self._outdated = True
                raise
        return self.known
