"""How work on a file's parts fails."""

from __future__ import annotations


class BrokenContainer(Exception):
    """A file is not what its first bytes say, or breaks off; the message says why, to follow the file's name."""


class NoRoom(Exception):
    """What is to be put into a file does not fit where its format keeps such things."""
