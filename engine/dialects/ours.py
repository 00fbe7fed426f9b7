"""Our own shape."""

from __future__ import annotations

from typing import Any


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """The result as it is."""
    return result
