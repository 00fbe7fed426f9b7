"""What one websocket frame of ComfyUI's says, checked here once: whoever hears of an event can rely on its shape.

Custom nodes send over the same socket, and may send anything. What is not of the shape that ComfyUI 0.3.64 and
0.8.0 were measured to send is nobody's event.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECONNECTED = "reconnected"
"""The type of the event, ours, that tells a job to ask `/history`: events were lost."""

FRAME = "frame"
"""The type of the event, ours, for a picture that came as a binary frame: `node`, `content_type` and `picture`, its
bytes. Previews of samplers come so, and what SaveImageWebsocket saves."""

_PICTURE_WITH_METADATA = 4  # ComfyUI, protocol.py, BinaryEventTypes
_FRAME_HEAD = struct.Struct(">II")
_ENDS = ((b"\x89PNG", b"IEND\xaeB`\x82"), (b"\xff\xd8\xff", b"\xff\xd9"))
_LARGEST_NUMBER = 2.0**53

_PLAIN_TYPES = frozenset(
    {"execution_start", "execution_success", "execution_error", "execution_interrupted", "executed", "executing"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One message of ComfyUI's about one prompt, such as `progress` or `executing`."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_end(self) -> bool:
        """The marker after which history has the prompt: `executing` with no node."""
        return self.type == "executing" and self.data.get("node") is None


def read_text(data: bytes) -> Event | None:
    """The event of a text frame; None for one that is about no prompt, or of no known type or shape."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
        return None
    about = message.get("data")
    if not isinstance(about, dict) or not isinstance(about.get("prompt_id"), str):
        return None
    if kind in _PLAIN_TYPES:
        return Event(kind, about)
    if kind == "progress":
        return Event(kind, about) if _counts(about) else None
    nodes = about.get("nodes")
    if kind == "execution_cached" and isinstance(nodes, list):
        return Event(kind, {**about, "nodes": [node for node in nodes if isinstance(node, str)]})
    if kind == "progress_state" and isinstance(nodes, dict):
        states = {key: state for key, state in nodes.items() if isinstance(state, dict) and _counts(state)}
        return Event(kind, {**about, "nodes": states})
    return None


def read_picture(data: bytes) -> Event | None:
    """The event of a binary frame; None for one that is no picture of a known prompt's node.

    A picture with its metadata is `4`, the length of a JSON text, the text, the picture; numbers are big-endian u32.
    Pictures without metadata say neither whose nor which node's they are. ComfyUI sends those only to clients that
    did not ask for metadata, as we do.
    """
    if len(data) < _FRAME_HEAD.size:
        return None
    kind, length = _FRAME_HEAD.unpack_from(data)
    start = _FRAME_HEAD.size + length
    if kind != _PICTURE_WITH_METADATA or len(data) <= start:
        return None
    try:
        metadata = json.loads(data[_FRAME_HEAD.size : start])
    except (ValueError, RecursionError):
        return None
    if not isinstance(metadata, dict):
        return None
    # A node that another node made while it ran stands for that one.
    node = metadata.get("display_node_id") or metadata.get("node_id")
    prompt_id, content_type = metadata.get("prompt_id"), metadata.get("image_type", "")
    picture = data[start:]
    if not all(isinstance(each, str) for each in (node, prompt_id, content_type)) or not _is_whole(picture):
        return None
    return Event(FRAME, {"prompt_id": prompt_id, "node": node, "content_type": content_type, "picture": picture})


def _is_whole(picture: bytes) -> bool:
    """Whether a PNG or a JPEG file has its end; others are taken as they are."""
    return not any(picture.startswith(begin) and not picture.endswith(end) for begin, end in _ENDS)


def _counts(about: Mapping[str, Any]) -> bool:
    """Whether how far a node is (`value` of `max`) are numbers that can be counted with."""
    return all(
        isinstance(number, int | float) and math.isfinite(number) and 0 <= number <= _LARGEST_NUMBER
        for number in (about.get("value", 0), about.get("max", 0))
    )
