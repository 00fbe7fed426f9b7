"""Pages of the documentation whose blocks are data: requests, the replies to them, maps, variables, commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_BLOCK = re.compile(r"(?:<!-- ([a-z]+): (.+?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code, with the mark that stands above it: `<!-- KIND: NAME -->`."""

    kind: str
    name: str
    language: str
    text: str

    @property
    def document(self) -> Any:
        """What JSON it holds."""
        return json.loads(self.text)


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page)]


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """The rows of each table, its head left out, by the heading above it."""
    tables: dict[str, list[list[str]]] = {}
    heading = ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            tables.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return {heading: rows[2:] for heading, rows in tables.items()}


def changed_texts(document: Any, change: Callable[[str], Any]) -> Any:
    """A copy of a document with each of its texts changed."""
    if isinstance(document, dict):
        return {key: changed_texts(value, change) for key, value in document.items()}
    if isinstance(document, list):
        return [changed_texts(value, change) for value in document]
    return change(document) if isinstance(document, str) else document


def differences(said: Any, got: Any, where: str = "") -> list[str]:
    """Where a document is not what a page says of it; `…` in a text stands for anything, alone even for no text."""
    if said == "…":
        return []
    if isinstance(said, dict) and isinstance(got, dict):
        found = [f"{where}: {key} is on one side alone" for key in said.keys() ^ got.keys()]
        for key in said.keys() & got.keys():
            found += differences(said[key], got[key], f"{where}.{key}")
        return found
    if isinstance(said, list) and isinstance(got, list) and len(said) == len(got):
        pairs = enumerate(zip(said, got, strict=True))
        return [each for index, pair in pairs for each in differences(*pair, f"{where}[{index}]")]
    if isinstance(said, str) and isinstance(got, str):
        pattern = re.escape(said).replace("…", ".*")
        return [] if re.fullmatch(pattern, got, re.DOTALL) else [f"{where}: {said!r} is {got[:200]!r}"]
    is_same = said == got and isinstance(said, bool) == isinstance(got, bool)
    return [] if is_same else [f"{where}: {said!r} is {got!r}"]
