"""An example payload of a drafted map: the template's own texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.authoring.discovery.found import Candidate
from engine.authoring.discovery.wiring import Wiring

# A grey square of 64 pixels.
_PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAK0lEQVR42u3MMREAAAgEoNfkRjeEmwcBqMlNRyAQCAQCgUAg"
    "EAgEAsHzYAFAdAEArKmlZAAAAABJRU5ErkJggg=="
)
_ADDRESSES = {
    "video": "https://example.com/video.mp4",
    "audio": "https://example.com/audio.wav",
    "file": "https://example.com/file",
}


def example_of(wiring: Wiring, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """The template's own texts, and something for every file.

    Pictures are carried along, so that the example runs as it stands; films, sounds and other files are named by
    addresses that its author replaces.
    """
    payload: dict[str, Any] = {}
    for each in candidates:
        kind = each.entry["type"]
        if kind in {"image", "mask"}:
            payload[each.name] = _PICTURE
        elif each.name.startswith(("image_base64", "mask_base64")):
            payload[each.name] = _PICTURE.partition(",")[2]
        elif kind in _ADDRESSES:
            payload[each.name] = _ADDRESSES[kind]
        elif each.entry.get("required") or each.name == "prompt":
            payload[each.name] = wiring.value(each.places[0])
    return {"title": "As exported", "payload": payload}
