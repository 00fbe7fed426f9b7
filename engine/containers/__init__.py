"""PNG, JPEG and WebP files as their parts, so that what a picture carries can change while its pixels stay as they are.

Each module reads a file's parts and gives a *plan*: the new file as pieces, each of them new bytes or a stretch of the
old file.
"""

from __future__ import annotations

from engine.containers.pieces import Piece, unchanged, write
from engine.containers.problems import BrokenContainer, NoRoom
from engine.containers.view import Buffer, viewed

__all__ = ["BrokenContainer", "Buffer", "NoRoom", "Piece", "unchanged", "viewed", "write"]
