"""Media on the way in (a payload's values become checked files) and out (result files are described and finished)."""

from __future__ import annotations

from engine.media.finishing import finish
from engine.media.inputs import MediaReader
from engine.media.long_texts import text_as_file
from engine.media.looking import look_at
from engine.media.outputs import describe
from engine.media.preparing import PictureBounds
from engine.media.stamps import read_stamp
from engine.media.wanted import Wanted

__all__ = ["MediaReader", "PictureBounds", "Wanted", "describe", "finish", "look_at", "read_stamp", "text_as_file"]
