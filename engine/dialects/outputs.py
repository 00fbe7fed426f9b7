"""What the dialects read of a result."""

from __future__ import annotations

from typing import Any

_HELD_AS = ("base64", "url", "uri", "path")


def files(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs that are files, in order."""
    return [output for output in result["outputs"] if any(key in output for key in _HELD_AS)]


def held_as(output: dict[str, Any]) -> tuple[str, str]:
    """How the caller gets at a file (`base64`, `url`, `uri` or `path`), and the text that says it.

    A link goes before the place in the bucket, which stands alone where the operator gives no links.
    """
    key = next(key for key in _HELD_AS if key in output)
    return key, output[key]


def besides(result: dict[str, Any]) -> dict[str, Any]:
    """`texts` and `warnings`, each only where there are some: the other workers' replies have no place for them."""
    texts = [output["text"] for output in result["outputs"] if "text" in output]
    found = {"texts": texts, "warnings": list(result["warnings"])}
    return {key: value for key, value in found.items() if value}
