"""The node catalogue of the running ComfyUI, read once and again when it may have changed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from engine.errors import ComfyUnavailable
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
        self._read: tuple[HasNodes, NodeCatalogue] | None = None
        self._outdated = False
        self._reading = threading.Lock()

    @property
    def known(self) -> NodeCatalogue | None:
        """What was read of the ComfyUI that runs; None where nothing was. Nothing is asked of it."""
        return self._read[1] if self._read and self._read[0] is self._present() else None

    def outdated(self) -> None:
        """A file or a class is there that was not: what is known is read again when it is next used."""
        self._outdated = True

    def get(self, *, refresh: bool = False) -> NodeCatalogue:
        """The node catalogue, read once, or again; anew of each ComfyUI that runs after another.

        Of several that want it at once one reads it, and the others wait.

        Raises:
            ComfyUnavailable: ComfyUI does not answer.
        """
        with self._reading:
            comfy = self._comfy()
            if self._read is None or self._read[0] is not comfy or refresh or self._outdated:
                self._outdated = False  # before it is read: what comes meanwhile may not be in it
                try:
                    self._read = (comfy, comfy.node_catalogue())
                except BaseException:
                    self._outdated = True
                    raise
            return self._read[1]

    def _present(self) -> HasNodes | None:
        with contextlib.suppress(ComfyUnavailable):
            return self._comfy()
        return None
