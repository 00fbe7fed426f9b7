"""Names and keys that every store takes. Pure."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

# Beside letters and digits of any script. Amazon calls these safe in keys, less `!*'()`, which some tools
# quote differently (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
_SAFE_PUNCTUATION = frozenset("-_.")

LONGEST_SEGMENT = 200
"""Bytes of UTF-8 in one part of a path; file systems take 255, and a number may be added."""

LONGEST_KEY = 1024
"""Bytes of UTF-8 in a whole key, for Amazon (the same page) and for Google
(https://cloud.google.com/storage/docs/objects#naming)."""

LONGEST_SUFFIX = 16
"""Bytes of an extension with its dot; what is longer is no extension."""


def clean_segment(text: str, *, longest: int = LONGEST_SEGMENT) -> str:
    """One part of a path, safe as a file name and in a key.

    Args:
        text: anything.
        longest: bytes of UTF-8 to keep; the extension stays.

    Returns:
        The text with each unsafe character as `_`, never empty, `.` or `..`, never starting with a dot.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(character if is_safe(character) else "_" for character in composed)
    # A mark can't stand first: without a letter before it, it would join the slash of the key.
    kept = kept.lstrip(".")
    if not kept or _is_mark(kept[0]):
        kept = f"_{kept}"
    if len(kept.encode()) <= longest:
        return kept
    extension = suffix_of(kept)
    stem = kept[: len(kept) - len(extension)].encode()[: longest - len(extension.encode())]
    return stem.decode(errors="ignore") + extension


def plain_name(text: str, *, otherwise: str, longest: int = 60) -> str:
    """A name of ASCII letters, digits, `-` and `_` alone, which any program takes for a file or folder.

    Args:
        text: anything.
        otherwise: the name where nothing of the text is left.
        longest: characters to keep.
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", text)[:longest].strip("_") or otherwise


def clean_prefix(prefix: str) -> str:
    """Folders before every key, each part cleaned, without slashes around them."""
    return "/".join(clean_segment(part) for part in prefix.split("/") if part)


def suffix_of(filename: str) -> str:
    """The extension of a file name with its dot; empty where there is none, or none that is short enough to be one."""
    suffix = PurePosixPath(filename).suffix
    return suffix if len(suffix.encode()) <= LONGEST_SUFFIX else ""


def is_safe(character: str) -> bool:
    """Whether a character may stand in a name as it is."""
    return character.isalnum() or _is_mark(character) or character in _SAFE_PUNCTUATION


def _is_mark(character: str) -> bool:
    """Whether it is a combining mark; scripts such as Devanagari need them to be read."""
    return unicodedata.category(character) in ("Mn", "Mc")
