"""Which node pack a node class comes with, as the snapshots of the image say it.

A snapshot is a file `snapshots/NAME.lock.json`:

```json
{"packs": {"ComfyUI_IPAdapter_plus": {"repository": "https://github.com/cubiq/ComfyUI_IPAdapter_plus",
                                      "commit": "a0f451a5113cf9becb0847b92884cb10cbdec0ef",
                                      "classes": ["IPAdapter", "IPAdapterAdvanced"]}}}
```

What is read here only makes messages better: a file that is missing or broken takes nothing from anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.documents import read_json
from engine.errors import InvalidMap
from engine.nodes import BUNDLED

log = logging.getLogger(__name__)

SNAPSHOTS = BUNDLED.parent


@lru_cache(maxsize=4)
def node_packs(folder: Path = SNAPSHOTS) -> Mapping[str, str]:
    """Node class to the name of its pack, of all snapshots in a folder, read once a process.

    Where two packs have a class, the first counts, in the order of the files' names and within them.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.lock.json")):
        try:
            document = read_json(path, label=path.name)
        except InvalidMap as error:
            log.warning("the snapshot is not used: %s", error)
            continue
        for name, pack in _mapping(_mapping(document).get("packs")).items():
            classes = _mapping(pack).get("classes")
            for class_type in classes if isinstance(classes, list) else ():
                if isinstance(class_type, str):
                    found.setdefault(class_type, name)
    return MappingProxyType(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
