"""Media on the way in (a payload's values become checked files) and out (result files are described and finished)."""

from __future__ import annotations

from engine.media.finishing import finish
from engine.media.inputs import read_input
from engine.media.outputs import describe
from engine.media.stamps import read_stamp

__all__ = ["describe", "finish", "read_input", "read_stamp"]
