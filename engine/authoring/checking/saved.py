"""The rendered graph of every example, kept beside the author's tests, so that review sees what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from engine.authoring.checking.codes import code
from engine.authoring.checking.examples import STAND_IN_SEED, RenderedExample, rendered_examples
from engine.authoring.differences import differences, lines_of
from engine.authoring.finding import Finding
from engine.catalog import Source
from engine.documents import read_json
from engine.errors import InvalidMap
from engine.graph import Graph, parse_graph
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

_MOST_LINES = 12
_GIVE_A_SEED = "give the example a seed"


def folder_of(source: Source) -> Path:
    """Where the graphs of a workflow's examples are kept."""
    return source.folder / "tests" / "rendered" / source.name


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
    rendered = rendered_examples(workflow)
    for example in rendered:
        file = f"{below}/{example.stem}.json"
        if example.graph is None:
            yield RENDER_UNSAVED.at(file, "", _refused(example), remedy=_GIVE_A_SEED)
        elif example.stem not in kept:
            yield RENDER_UNSAVED.at(file, "", "this example was not saved yet")
        elif message := _change(kept[example.stem], example.graph):
            yield RENDER_CHANGED.at(file, "", message)
    for stem in sorted(kept.keys() - {example.stem for example in rendered}):
        yield RENDER_LEFT_OVER.at(f"{below}/{stem}.json", "", "there is no such example any more")


def _refused(example: RenderedExample) -> str:
    return f"with the seed {STAND_IN_SEED} in place of a drawn one it does not render: {example.problem}"


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
        OSError: the folder can't be written.
    """
    folder = folder_of(source)
    rendered = rendered_examples(workflow)
    done = []
    for example in rendered:
        path = folder / f"{example.stem}.json"
        if example.graph is None:
            done.append(f"not saved: {path}: {_refused(example)}; {_GIVE_A_SEED}")
            continue
        text = json.dumps(example.graph, indent=2, ensure_ascii=False) + "\n"
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        if before != text:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            done.append(f"{'saved' if before is None else 'saved again'}: {path}")
    stems = {example.stem for example in rendered}
    for path in sorted(folder.glob("*.json")):
        if path.stem not in stems:
            path.unlink()
            done.append(f"removed, its example is gone: {path}")
    return done
