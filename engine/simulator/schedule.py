"""In which order nodes run, and which need not: ComfyUI's ways, measured on 0.3.64 and 0.8.0."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from engine.simulator.classes import Classes, is_output
from engine.simulator.folders import Folders

_FILE_INPUTS = {
    "LoadImage": "image",
    "LoadImageMask": "image",
    "LoadImageOutput": "image",
    "LoadLatent": "latent",
    "LoadAudio": "audio",
    "LoadVideo": "file",
}
_NEVER_THE_SAME = frozenset({"SaveImageWebsocket"})
_once = itertools.count()


def is_link(value: Any) -> bool:
    """Whether an input's value is a link: a node's id and the number of one of its outputs."""
    return (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | float)
    )


class Schedule:
    """Nodes still to run, dissolved from what they need.

    A node whose result is kept is not waited for. Of the nodes that can run, an output goes first, then one
    that feeds an output, then one two steps before, then whichever was found first.
    """

    def __init__(self, prompt: Mapping[str, Any], classes: Classes, is_kept: Callable[[str], bool]) -> None:
        self._prompt, self._classes, self._is_kept = prompt, classes, is_kept
        self._waits_for: dict[str, set[str]] = {}
        self._feeds: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._waits_for)

    def add(self, node_id: str) -> None:
        """Have a node run, and all that it needs."""
        stack, links = [node_id], []
        while stack:
            current = stack.pop()
            if current in self._waits_for:
                continue
            self._waits_for[current] = set()
            self._feeds.setdefault(current, [])
            for name, value in self._prompt[current]["inputs"].items():
                if is_link(value) and not self._is_lazy(current, name):
                    links.append((value[0], current))
                    if not self._is_kept(value[0]):
                        stack.append(value[0])
        for source, target in links:
            self._connect(source, target)

    def need(self, node_id: str, source: str) -> None:
        """Have a node wait for one more: a lazy input turned out to be needed."""
        if not self._is_kept(source):
            self.add(source)
            self._connect(source, node_id)

    def next(self) -> str:
        """The node to run now."""
        ready = [node_id for node_id, needed in self._waits_for.items() if not needed]

        def feeds_output(node_id: str, steps: int) -> bool:
            if steps == 0:
                return is_output(self._classes.describe(self._prompt[node_id]["class_type"]))
            return any(feeds_output(fed, steps - 1) for fed in self._feeds[node_id])

        for steps in range(3):
            for node_id in ready:
                if feeds_output(node_id, steps):
                    return node_id
        return ready[0]

    def done(self, node_id: str) -> None:
        """Take a node out: it ran."""
        del self._waits_for[node_id]
        for fed in self._feeds.pop(node_id):
            self._waits_for[fed].discard(node_id)

    def _connect(self, source: str, target: str) -> None:
        if source in self._waits_for and source not in self._waits_for[target]:
            self._waits_for[target].add(source)
            self._feeds[source].append(target)

    def _is_lazy(self, node_id: str, name: str) -> bool:
        description = self._classes.describe(self._prompt[node_id]["class_type"])
        for fields in (description["input"].get(section, {}) for section in ("required", "optional")):
            declared = fields.get(name)
            if declared and len(declared) > 1 and declared[1].get("lazy"):
                return True
        return False


def signatures(prompt: Mapping[str, Any], classes: Classes, folders: Folders) -> dict[str, str]:
    """What each node's result depends on, as one text: the same text, the same result.

    It is made of the node and of all before it, not of their ids; the content of loaded files counts.
    """
    return {node_id: _signature(node_id, prompt, classes, folders) for node_id in prompt}


def _signature(node_id: str, prompt: Mapping[str, Any], classes: Classes, folders: Folders) -> str:
    before: list[str] = []

    def walk(current: str) -> None:
        for _, value in sorted(_inputs_of(prompt[current]).items()):
            if is_link(value) and value[0] in prompt and value[0] not in before:
                before.append(value[0])
                walk(value[0])

    walk(node_id)
    position = {ancestor: index for index, ancestor in enumerate(before)}
    parts = [_own_part(each, prompt, position, classes, folders) for each in (node_id, *before)]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _own_part(
    node_id: str, prompt: Mapping[str, Any], position: Mapping[str, int], classes: Classes, folders: Folders
) -> list[Any]:
    node = prompt[node_id]
    class_type, inputs = node["class_type"], _inputs_of(node)
    part: list[Any] = [class_type, _changing(class_type, inputs, folders)]
    hidden = classes.describe(class_type)["input"].get("hidden", {}).values()
    if any(value in ("UNIQUE_ID", ["UNIQUE_ID"]) for value in hidden):
        part.append(node_id)
    for name, value in sorted(inputs.items()):
        if is_link(value):
            # A link to nowhere is never the same as another.
            part.append([name, "link", position.get(value[0], -1 - next(_once)), value[1]])
        else:
            part.append([name, "value", value])
    return part


def _inputs_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node's inputs; none where it has none: nobody validates the nodes that no output needs."""
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _changing(class_type: str, inputs: Mapping[str, Any], folders: Folders) -> Any:
    """What beside its inputs a node's result depends on."""
    if class_type in _NEVER_THE_SAME:
        return next(_once)
    name = inputs.get(_FILE_INPUTS.get(class_type, ""))
    if not isinstance(name, str):
        return False
    try:
        return hashlib.sha256(folders.input_file(name).read_bytes()).hexdigest()
    except OSError:
        return next(_once)
