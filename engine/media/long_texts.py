"""Texts too long for a reply, as files: a bucket takes them whatever their size."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from engine.results import OutputFile


def text_as_file(output: OutputFile, folder: Path) -> OutputFile:
    """A text as a file of UTF-8.

    Args:
        output: a text.
        folder: where the file goes.
    """
    path = folder / f"text_{secrets.token_hex(8)}.txt"
    path.write_text(output.text or "", encoding="utf-8", newline="")
    return replace(output, path=path, text=None, filename=f"{output.name}.txt")
