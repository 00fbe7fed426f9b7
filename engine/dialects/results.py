"""Workers that take `input_images` and give `{"status": "completed", "results": [{"filename", "image"}]}`."""

from __future__ import annotations

from typing import Any

from engine.dialects.outputs import besides, files, held_as


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """Every file under `results`; `image` is its link or its base64, also where it is no picture."""
    entries = [{"filename": output["filename"], "image": held_as(output)[1]} for output in files(result)]
    return {"status": "completed", "results": entries, **besides(result)}
