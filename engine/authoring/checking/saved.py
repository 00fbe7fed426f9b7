"""The rendered graph of every example, kept beside the author's tests, so that review sees what changed."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.authoring.checking.codes import code
from engine.authoring.differences import differences, lines_of
from engine.authoring.finding import Finding
from engine.catalog import Source
from engine.documents import read_json
from engine.errors import InvalidMap, InvalidPayload, RenderFailed
from engine.graph import Graph, parse_graph
from engine.schema import SeedParameter
from engine.workflow import Workflow

RENDER_CHANGED = code(
    "render_changed",
    "warning",
    "An example renders to another graph than the one that was saved.",
    "if that is wanted: engine check --save",
)
RENDER_UNSAVED = code(
    "render_unsaved",
    "warning",
    "An example is not among the saved graphs of its workflow.",
    "engine check --save",
)
RENDER_LEFT_OVER = code(
    "render_left_over",
    "warning",
    "A graph was saved of an example that is gone.",
    "if that is wanted: engine check --save removes it",
)

STAND_IN_SEED = 0
"""The seed of examples that give none: a drawn one would be another every time."""

_JOB_ID = "rendered"
_MOST_LINES = 12
_LONGEST_STEM = 60


def folder_of(source: Source) -> Path:
    """Where the graphs of a workflow's examples are kept."""
    return source.folder / "tests" / "rendered" / source.name


def rendered_examples(workflow: Workflow) -> dict[str, Graph]:
    """The rendered graph of every example, by the name of the file it is kept in; the same every time.

    Raises:
        InvalidPayload, RenderFailed: with the stand-in for its seed an example breaks a rule.
    """
    found: dict[str, Graph] = {}
    for index, example in enumerate(workflow.examples):
        stem = plain = _stem(example.title) or f"example-{index + 1}"
        number = 2
        while stem in found:
            stem, number = f"{plain}-{number}", number + 1
        payload = _with_seeds(workflow, example.payload)
        found[stem] = workflow.render(workflow.validate(payload), job_id=_JOB_ID)
    return found


def _stem(title: str) -> str:
    text = unicodedata.normalize("NFC", title).lower()
    return re.sub(r"[\W_]+", "-", text)[:_LONGEST_STEM].strip("-")


def _with_seeds(workflow: Workflow, payload: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(payload)
    for name, parameter in workflow.parameters.items():
        if isinstance(parameter, SeedParameter):
            default = parameter.default if parameter.has_default else -1
            if filled.get(name, default) == -1:
                filled[name] = STAND_IN_SEED
    return filled


def saved_findings(source: Source, workflow: Workflow) -> Iterator[Finding]:
    """What the examples render to now, against what was saved; nothing where nothing was.

    Args:
        source: where the workflow's files are.
        workflow: it.
    """
    folder = folder_of(source)
    kept = {path.stem: path for path in sorted(folder.glob("*.json"))}
    if not kept:
        return
    below = f"tests/rendered/{source.name}"
    try:
        rendered = rendered_examples(workflow)
    except (InvalidPayload, RenderFailed) as error:
        yield RENDER_CHANGED.at(below, "", f"an example can't be rendered with the seed {STAND_IN_SEED}: {error}")
        return
    for stem, graph in rendered.items():
        file = f"{below}/{stem}.json"
        if stem not in kept:
            yield RENDER_UNSAVED.at(file, "", "this example was not saved yet")
        elif message := _change(kept[stem], graph):
            yield RENDER_CHANGED.at(file, "", message)
    for stem in kept.keys() - rendered.keys():
        yield RENDER_LEFT_OVER.at(f"{below}/{stem}.json", "", "there is no such example any more")


def _change(path: Path, graph: Graph) -> str:
    try:
        before = parse_graph(read_json(path, label=path.name), label=path.name)
    except InvalidMap as error:
        return f"what was saved is no graph: {error.message}"
    lines = [line for each in differences(before, graph) for line in lines_of(each, before, graph)]
    if not lines:
        return ""
    more = len(lines) - _MOST_LINES
    shown = lines[:_MOST_LINES] + ([f"and {more} more lines"] if more > 0 else [])
    return "\n".join(["the example renders to another graph:", *shown])


def save(source: Source, workflow: Workflow) -> list[str]:
    """Keep what the examples render to now.

    Args:
        source: where the workflow's files are.
        workflow: it.

    Returns:
        What was done, for people; nothing where all was as it is.

    Raises:
        InvalidPayload, RenderFailed: as `rendered_examples`.
        OSError: the folder can't be written.
    """
    folder = folder_of(source)
    rendered = rendered_examples(workflow)
    done = []
    for stem, graph in rendered.items():
        path = folder / f"{stem}.json"
        text = json.dumps(graph, indent=2, ensure_ascii=False) + "\n"
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        if before != text:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            done.append(f"{'saved' if before is None else 'saved again'}: {path}")
    for path in sorted(folder.glob("*.json")):
        if path.stem not in rendered:
            path.unlink()
            done.append(f"removed, its example is gone: {path}")
    return done
