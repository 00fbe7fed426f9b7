"""Which node packs a ComfyUI could not import, by what it prints when it starts.

It imports every pack, tells of each that fails, and goes on (`load_custom_node` and `init_external_custom_nodes` of its
`nodes.py`, the same in 0.3.64 and 0.8.0):

```
Traceback (most recent call last):
  …
ModuleNotFoundError: No module named 'cv2'

Cannot import /comfyui/custom_nodes/some-pack module for custom nodes: No module named 'cv2'

Import times for custom nodes:
   0.0 seconds (IMPORT FAILED): /comfyui/custom_nodes/some-pack
```

A pack without node classes has a line of its own in place of the traceback, and is in the list as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FAILED = re.compile(r"^ *[\d.]+ seconds \(IMPORT FAILED\): (.+)$")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class ImportFailure:
    """A node pack that was not imported.

    Attributes:
        pack: its name, as ComfyUI says it.
        error: in ComfyUI's words; empty where it said nothing of it.
        traceback: where it printed one.
    """

    pack: str
    error: str = ""
    traceback: str = ""


def import_failures(printed: str) -> list[ImportFailure]:
    """The node packs that were not imported.

    Args:
        printed: what ComfyUI printed from its start on.
    """
    lines = [line.rstrip() for line in printed.splitlines()]
    paths = dict.fromkeys(found[1] for line in lines if (found := _FAILED.match(line)))
    return [_failure(path, lines) for path in paths]


def _failure(path: str, lines: list[str]) -> ImportFailure:
    pack = re.split(r"[/\\]", path.rstrip("/\\"))[-1].removesuffix(".py")
    for number, line in enumerate(lines):
        if not _FAILED.match(line) and path in line and _is_word(path, line) and not line.startswith(" "):
            error = line.partition(" module for custom nodes: ")[2] or line
            return ImportFailure(pack, error, _traceback(lines[:number]) if line.startswith("Cannot import") else "")
    return ImportFailure(pack)


def _is_word(path: str, line: str) -> bool:
    """Whether the path stands there by itself, and is not the beginning of another."""
    after = line.partition(path)[2][:1]
    return not after or after in " :,'\""


def _traceback(above: list[str]) -> str:
    """The traceback right above a line; empty where there is none."""
    starts = [number for number, line in enumerate(above) if line.startswith(_TRACEBACK)]
    return "\n".join(above[starts[-1] :]).strip() if starts else ""
