"""Paths that lead out of ComfyUI's folders, or exist on one machine alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.authoring.checking.codes import code
from engine.authoring.checking.examples import rendered_examples
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.graph import label_of
from engine.wording import shown

ABSOLUTE_PATH = code(
    "absolute_path",
    "warning",
    "A path of the machine that the graph was made on: a worker has no such file.",
    "use a name below ComfyUI's folders, or bind a parameter to it",
)
ESCAPING_PREFIX = code(
    "escaping_prefix",
    "error",
    "A `filename_prefix` leads out of ComfyUI's output folder: ComfyUI refuses to save there.",
    "write a path below the output folder, without .. and without a slash in front",
)

_ROOTS = (
    "app|comfyui|content|data|home|kaggle|media|mnt|notebooks|opt|private|root|runpod-volume|srv|storage|tmp|users|usr"
    "|var|volumes|workspace"
)
_ABSOLUTE = re.compile(
    rf"(?:file://)?/(?:{_ROOTS})(?:/[^\n]{{0,1000}})?|(?:file:///)?[A-Za-z]:[\\/][^\n]{{1,1000}}|\\\\[\w.-]+\\[^\n]{{1,1000}}|~/[^\n]{{1,1000}}",
    re.IGNORECASE,
)
_WORDS = 6
"""A path of more words than this, between spaces, is a sentence that begins with a slash."""
_PREFIX = re.compile(r"filename_prefix$")


def path_findings(subject: Subject) -> Iterator[Finding]:
    """Of the template's literals, of the defaults that parameters write there, and of prefixes that are computed."""
    for node_id, name, _ in subject.literals():
        label, place = f"{label_of(subject.graph, node_id)}.{name}", subject.default_place(node_id, name)
        value = subject.default_at(node_id, name)
        if _PREFIX.search(name) and node_id in subject.queued and _escapes(value):
            yield ESCAPING_PREFIX.at(*place, f"{label}: {shown(value)} leads out of the output folder")
        elif node_id in subject.reachable and isinstance(value, str) and is_absolute(value):
            yield ABSOLUTE_PATH.at(*place, f"{label}: {shown(value)} is a path of one machine")
    yield from _computed_prefixes(subject)


def _computed_prefixes(subject: Subject) -> Iterator[Finding]:
    """What expressions make of a prefix, seen in the first example where it leads out."""
    computed = {
        place: writer.where
        for place, writer in subject.written.items()
        if writer.expression and _PREFIX.search(place.input_name)
    }
    examples = rendered_examples(subject.workflow) if computed and subject.workflow else ()
    for example in examples:
        graph = example.graph or {}  # of one that does not render others tell
        for place in [each for each in computed if each.node_id in graph]:
            value = graph[place.node_id]["inputs"].get(place.input_name)
            if _escapes(value):
                label = f"{label_of(subject.graph, place.node_id)}.{place.input_name}"
                message = (
                    f"{label}: {shown(value)}, of the example {shown(example.title)}, leads out of the output folder"
                )
                yield ESCAPING_PREFIX.at(subject.map, computed.pop(place), message)


def is_absolute(text: str) -> bool:
    """Whether a text is a path that exists on one machine alone, and no sentence that begins with a slash."""
    return bool(_ABSOLUTE.fullmatch(text.strip())) and text.count(" ") < _WORDS


def _escapes(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    parts = value.strip().replace("\\", "/").split("/")
    depth = 0
    for part in parts[:-1]:  # the last is the file's
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            return True
    return len(parts) > 1 and parts[0] == ""
