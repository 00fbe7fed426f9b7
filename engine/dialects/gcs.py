"""Workers that put one file into Google Cloud Storage and give `{"gcs_url", "size"}`."""

from __future__ import annotations

from typing import Any

from engine.dialects.outputs import besides, files, held_as


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """The first file, and with several all of them under `results`; `size` in bytes.

    `gcs_url` is the link to the file, else its place in the bucket (`gs://BUCKET/NAME`). A file that went nowhere
    stands under `base64` or `path` instead.
    """
    entries = [_entry(output) for output in files(result)]
    first = entries[0] if entries else {"gcs_url": None, "size": 0}
    return first | ({"results": entries} if len(entries) > 1 else {}) | besides(result)


def _entry(output: dict[str, Any]) -> dict[str, Any]:
    key, data = held_as(output)
    return {"gcs_url" if key in {"url", "uri"} else key: data, "size": output["size_bytes"]}
