"""PNG, JPEG and WebP files as their parts, so that what a picture carries can change while its pixels stay as they are.

Each module reads a file's parts and gives a *plan*: the new file as pieces, each of them new bytes or a stretch of the
old file.
"""

from __future__ import annotations

from engine.media.containers.pieces import BrokenContainer, Buffer, NoRoom, Piece, mapped, unchanged, write

__all__ = ["BrokenContainer", "Buffer", "NoRoom", "Piece", "mapped", "unchanged", "write"]
