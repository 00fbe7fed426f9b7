"""What a running prompt tells its client, message by message (0.3.64 and 0.8.0)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engine.simulator.sockets import Hub

if TYPE_CHECKING:
    from PIL.Image import Image


class Reporter:
    """Sends the messages of one prompt, and keeps those that history shows.

    Steps and states go to everyone where the prompt has no client; the others then go to nobody.

    Attributes:
        client: whose prompt it is.
        messages: what history keeps as `status.messages`.
    """

    def __init__(self, hub: Hub, prompt_id: str, client: str | None) -> None:
        self.client = client
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._hub, self._prompt_id = hub, prompt_id
        self._states: dict[str, dict[str, Any]] = {}

    def tell(self, event: str, data: dict[str, Any], *, to_all: bool = False) -> None:
        """Send a message that history keeps; the prompt's id and the time come with it."""
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        self.messages.append((event, stamped))
        if self.client is not None or to_all:
            self._hub.send(event, stamped, self.client)

    def starts(self, node_id: str) -> None:
        """A node starts."""
        self._state(node_id, 0.0, 1.0, "running")
        if self.client is not None:
            self._hub.executing = (self.client, node_id)
            data = {"node": node_id, "display_node": node_id, "prompt_id": self._prompt_id}
            self._hub.send("executing", data, self.client)

    def step(self, node_id: str, value: int, maximum: int, preview: Image | None, picture_format: str) -> None:
        """A node got so far, with a picture if there is one."""
        self._state(node_id, value, maximum, "running")
        with_metadata = preview is not None and self._hub.wants_metadata(self.client)
        if preview is not None and with_metadata:
            keys = ("node_id", "prompt_id", "display_node_id", "parent_node_id", "real_node_id")
            metadata = {key: self._states[node_id][key] for key in keys}
            self._hub.send_preview(preview, picture_format, self.client, metadata)
        data = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._hub.send("progress", data, self.client)
        if preview is not None and not with_metadata:
            self._hub.send_preview(preview, picture_format, self.client, None)

    def shows(self, node_id: str, output: dict[str, Any] | None) -> None:
        """A node shows something; null for a kept result that shows nothing."""
        if self.client is not None:
            data = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": self._prompt_id}
            self._hub.send("executed", data, self.client)

    def ends(self, node_id: str) -> None:
        """A node is done."""
        maximum = self._states[node_id]["max"] if node_id in self._states else 1
        self._state(node_id, maximum, maximum, "finished")

    def _state(self, node_id: str, value: float, maximum: float, state: str) -> None:
        self._states[node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        self._hub.send("progress_state", {"prompt_id": self._prompt_id, "nodes": self._states}, self.client)
