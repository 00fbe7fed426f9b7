"""Names and keys that every store takes. Pure."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

# Beside letters and digits of any script. Amazon calls these safe in keys, less `!*'()`, which some tools
# quote differently (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html.
_SAFE_PUNCTUATION = frozenset("-_.")

_LONGEST_SEGMENT = 200  # bytes; file systems take 255, and a number may be added
_LONGEST_KEY = 1024  # bytes of UTF-8, by the same page of Amazon's

TEMPLATE_FIELDS = frozenset({"prefix", "workflow", "job_id", "filename", "name"})
"""What a key template may name."""


def clean_segment(text: str, *, longest: int = _LONGEST_SEGMENT) -> str:
    """One part of a path, safe as a file name and in a key.

    Args:
        text: anything.
        longest: bytes of UTF-8 to keep; the extension stays.

    Returns:
        The text with each unsafe character as `_`, never empty, `.` or `..`, never starting with a dot.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(c if c.isalnum() or _is_mark(c) or c in _SAFE_PUNCTUATION else "_" for c in composed)
    # A mark can't stand first: without a letter before it, it would join the slash of the key.
    kept = kept.lstrip(".")
    if not kept or _is_mark(kept[0]):
        kept = f"_{kept}"
    if len(kept.encode()) <= longest:
        return kept
    extension = PurePosixPath(kept).suffix if len(PurePosixPath(kept).suffix.encode()) <= 16 else ""
    stem = kept[: len(kept) - len(extension)].encode()[: longest - len(extension.encode())]
    return stem.decode(errors="ignore") + extension


def clean_prefix(prefix: str) -> str:
    """Folders before every key, each part cleaned, without slashes around them."""
    return "/".join(clean_segment(part) for part in prefix.split("/") if part)


def _is_mark(character: str) -> bool:
    """Whether it is a combining mark; scripts such as Devanagari need them to be read."""
    return unicodedata.category(character) in ("Mn", "Mc")


def template_problem(template: str) -> str | None:
    """What is wrong with a key template, or None."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError:
        return "has a brace without its partner"
    named = [field for _, field, _, _ in fields if field is not None]
    unknown = sorted(set(named) - TEMPLATE_FIELDS)
    if unknown:
        return f"names {{{unknown[0]}}}; it may name " + ", ".join(f"{{{f}}}" for f in sorted(TEMPLATE_FIELDS))
    if any(spec or conversion for _, _, spec, conversion in fields):
        return "has a format after a name; only the names themselves are allowed"
    literal = "".join(text for text, _, _, _ in fields)
    if any(clean_segment(f"x{character}") != f"x{character}" for character in literal if character != "/"):
        return "holds a character that is not safe in a key; letters, digits, - _ . and / are"
    if not {"job_id", "filename"} <= set(named):
        return "must name {job_id} and {filename}, so that no job overwrites another's results"
    return None


def object_keys(
    outputs: Sequence[tuple[str, str]], *, template: str, prefix: str, workflow: str, job_id: str
) -> list[str]:
    """A key for every result of one job, no two the same.

    Args:
        outputs: filename and output name of each result.
        template: with the fields of TEMPLATE_FIELDS, checked by `template_problem`.
        prefix: of all keys; may hold slashes; empty for none.
        workflow: the workflow's name.
        job_id: the job's id.

    Returns:
        Keys of at most 1024 bytes of UTF-8, without a leading, doubled or trailing slash.
    """
    folders = clean_prefix(prefix)
    keys: list[str] = []
    taken: set[str] = set()
    for filename, name in outputs:
        attempt = 1
        while True:
            filled = template.format(
                prefix=folders,
                workflow=clean_segment(workflow, longest=128),
                job_id=clean_segment(job_id, longest=128),
                filename=_nth(clean_segment(filename or name), attempt),
                name=clean_segment(name, longest=64),
            )
            key = "/".join(part for part in filled.split("/") if part not in ("", ".", ".."))
            if key not in taken:
                break
            attempt += 1
        taken.add(key)
        keys.append(key)
    return keys


def longest_key_bytes(template: str, prefix: str) -> int:
    """The most bytes that a key can take with this template and prefix."""
    bounds = {
        "prefix": len(clean_prefix(prefix).encode()),
        "workflow": 128,
        "job_id": 128,
        "filename": 210,
        "name": 64,
    }
    return sum(
        len(literal.encode()) + (bounds[field] if field else 0)
        for literal, field, _, _ in string.Formatter().parse(template)
    )


def key_fits(template: str, prefix: str) -> bool:
    """Whether every key made with them fits what S3 takes."""
    return longest_key_bytes(template, prefix) <= _LONGEST_KEY


def _nth(filename: str, attempt: int) -> str:
    if attempt == 1:
        return filename
    path = PurePosixPath(filename)
    return f"{path.stem}_{attempt}{path.suffix}"
