"""Media on the way in (a payload's values become checked files) and out (result files are described)."""

from __future__ import annotations

from engine.media.inputs import MediaReader, Wanted
from engine.media.outputs import describe

__all__ = ["MediaReader", "Wanted", "describe"]
