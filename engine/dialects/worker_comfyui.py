"""RunPod's own worker-comfyui, from its version 5.0.0 on.

Its reply was read off its handler.py and README at 5.8.5 (https://github.com/runpod-workers/worker-comfyui):
`{"images": [{"filename", "type", "data"}]}`, where `type` is `s3_url` or `base64`; `errors`, a list of texts, where
something went wrong that did not fail the job; and `status: success_no_images` where no picture was made.
"""

from __future__ import annotations

from typing import Any

from engine.dialects.outputs import besides, files, held_as

# Whatever is in a bucket is an `s3_url` to its clients, which know but two types.
_TYPES = {"base64": "base64", "url": "s3_url", "uri": "s3_url", "path": "path"}


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """Every file under `images`, videos and sounds as well; warnings under `errors`; texts under `texts`."""
    images = [_entry(output) for output in files(result)]
    reply: dict[str, Any] = {"images": images} if images else {"status": "success_no_images", "images": []}
    more = besides(result)
    if "warnings" in more:
        reply["errors"] = more.pop("warnings")
    return reply | more


def _entry(output: dict[str, Any]) -> dict[str, Any]:
    key, data = held_as(output)
    return {"filename": output["filename"], "type": _TYPES[key], "data": data}
