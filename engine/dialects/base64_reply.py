"""Workers that give one file in the reply, `{"base64", "size"}`."""

from __future__ import annotations

from typing import Any

from engine.dialects.outputs import besides, files, held_as


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """The first file, and with several the others under `others`; `size` in bytes, before encoding.

    Nothing stands there twice, since base64 can fill a reply to its limit. A file that went to a bucket or a folder
    has no base64: it stands under `url`, `uri` or `path` instead.
    """
    entries = [_entry(output) for output in files(result)]
    first = entries[0] if entries else {"base64": None, "size": 0}
    return first | ({"others": entries[1:]} if len(entries) > 1 else {}) | besides(result)


def _entry(output: dict[str, Any]) -> dict[str, Any]:
    key, data = held_as(output)
    return {key: data, "size": output["size_bytes"]}
