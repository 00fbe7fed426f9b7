"""Media on the way in (a payload's values become checked files) and out (result files are described and finished)."""

from __future__ import annotations

from engine.media.finishing import finish
from engine.media.inputs import MediaReader
from engine.media.long_texts import text_as_file
from engine.media.looking import look_at
from engine.media.outputs import describe
from engine.media.preparing import PictureBounds
from engine.media.references import KeptFiles
from engine.media.stamps import read_stamp
from engine.media.telling import Told, tell
from engine.media.wanted import Wanted

__all__ = [
    "KeptFiles",
    "MediaReader",
    "PictureBounds",
    "Told",
    "Wanted",
    "describe",
    "finish",
    "look_at",
    "read_stamp",
    "tell",
    "text_as_file",
]
