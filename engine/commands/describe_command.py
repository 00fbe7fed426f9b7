"""`engine describe`: what a workflow takes and gives, and how it is called."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.folders import offered_workflows, workflow_folders
from engine.commands.output import print_json, print_line, print_note
from engine.commands.readying import missing_lines, readiness
from engine.errors import StorageError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from engine.authoring.describing import Row
    from engine.workflow import Workflow

_PIPED_WIDTH = 120
_NARROWEST = 60
_NARROW = 100  # below, three columns are read better than five


def describe(
    name: str, call: str | None, url: str | None, picture: Path | None = None, *, as_json: bool = False
) -> None:
    """Print what a workflow takes and gives, or one example call of it, or draw its graph.

    Args:
        name: of the workflow.
        call: the language of a call that is all there is to print, so that it can be piped into a file or a program.
        url: where calls go; RunPod's by default.
        picture: the file for a picture of its graph, which is then all there is to do.
        as_json: print what the action `describe` gives.

    Raises:
        UsageError: the file for the picture is called otherwise than an SVG, or is there and holds something else.
        StorageError: it can't be written.
    """
    from engine.authoring.calls import RUNPOD_URL, example_call
    from engine.authoring.describing import example_payload
    from engine.catalog import Catalog

    workflow = Catalog(workflow_folders(), only=offered_workflows())[name]
    where = url or RUNPOD_URL
    if picture:
        _draw(workflow, picture)
        print_json({"picture": str(picture)}) if as_json else print_line(str(picture))
    elif call:
        payload, is_the_authors = example_payload(workflow)
        text = example_call(call, name, payload, url=where)
        print_json({"language": call, "call": text}) if as_json else print_line(text)
        if not is_the_authors:
            print_note("note: the map has no example; the values that are required are made up")
    elif as_json:
        print_json(workflow.describe() | _state(workflow))
    else:
        _print_page(workflow, where)


def _draw(workflow: Workflow, file: Path) -> None:
    """Draw the graph into a file; one that holds such a picture is written anew."""
    from engine.authoring.graph_picture import BEGINNING, graph_picture
    from engine.known_nodes import known_nodes

    if file.suffix.lower() != ".svg":
        raise UsageError(
            f"--picture {file}: it is drawn as SVG; name a file like {file.stem.strip('-') or 'graph'}.svg"
        )
    text = graph_picture(workflow, known_nodes())
    try:
        if file.is_file() and not file.read_bytes().startswith(BEGINNING.encode()):
            raise UsageError(f"--picture {file}: it is there, and no picture of a graph; name another file")
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} can't be written: {error.strerror}") from error


def _state(workflow: Workflow) -> dict[str, Any]:
    """Whether it is ready here, and what is missing."""
    with readiness() as ready:
        return ready.state(workflow) if ready else {"status": "ready"}


def _print_page(workflow: Workflow, url: str) -> None:
    from rich.console import Console

    # Never cut, whoever reads: a pipe is as wide as COLUMNS says, or wide enough for tables.
    width = max(_NARROWEST, shutil.get_terminal_size((_PIPED_WIDTH, 24)).columns)
    console = Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)
    for part in _page(workflow, url, width):
        if isinstance(part, str):
            console.print(part, soft_wrap=True)
        else:
            console.print(part)


def _page(workflow: Workflow, url: str, width: int) -> Iterator[RenderableType]:
    from engine.authoring.describing import parameter_rows

    yield f"{workflow.name}: {workflow.title} (version {workflow.version})"
    if workflow.description:
        yield workflow.description
    rows = parameter_rows(workflow)
    for group in dict.fromkeys(row.group for row in rows):
        yield from _heading(f"Parameters: {group}" if group else "Parameters")
        yield _table(
            ["name", "takes", "about"] if width < _NARROW else ["name", "type", "default", "allowed", "about"],
            [_cells(row, width) for row in rows if row.group == group],
            fixed=_first(width, (row.name for row in rows)),
        )
    if not rows:
        yield from _heading("Parameters")
        yield "none"
    if workflow.rules:
        yield from _heading("Rules")
        yield from workflow.rules
    yield from _heading("Outputs")
    outputs = [
        [each.name, each.kind or "any", ". ".join(text.rstrip(".") for text in (each.title, each.description) if text)]
        for each in workflow.outputs
    ]
    yield _table(["name", "kind", "about"], outputs, fixed=_first(width, (output[0] for output in outputs)))
    if workflow.gates:
        yield from _heading("Must pass")
        yield from map(str, workflow.gates.entries)
        yield workflow.gates.said
    yield from _requirements(workflow)
    yield from _calls(workflow, url)


def _first(width: int, names: Iterable[str]) -> int:
    """How wide the first column is: as its names and its title need, but a quarter of the page at most."""
    return min(max(map(len, ("name", *names))), width // 4)


def _cells(row: Row, width: int) -> list[str]:
    if width >= _NARROW:
        return [row.name, row.type, row.default, row.allowed, row.about]
    default = f"default {row.default}" if row.default not in ("", "required", "drawn") else row.default
    return [row.name, "; ".join(text for text in (row.type, default, row.allowed) if text), row.about]


def _heading(text: str) -> Iterator[RenderableType]:
    from rich.text import Text

    yield ""
    yield Text(text, style="bold")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, fixed: int) -> RenderableType:
    """Text in columns, wrapped where it is long; nothing in it is markup. An empty column is left out.

    Args:
        titles: of the columns.
        rows: of texts.
        fixed: characters of the first column, so that several tables line up.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    used = [index for index in range(len(titles)) if index == 0 or any(row[index] for row in rows)]
    table = Table(box=box.ASCII2 if _is_plain() else box.SIMPLE_HEAD, header_style="dim", show_edge=False)
    for index in used:
        if index == 0:
            table.add_column(titles[0], width=fixed, overflow="fold")
        else:
            table.add_column(titles[index], overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index], overflow="fold") for index in used))
    return table


def _is_plain() -> bool:
    """Whether what we print to has no characters to draw lines with."""
    return not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def _requirements(workflow: Workflow) -> Iterator[RenderableType]:
    requires = workflow.requires
    missing = list(missing_lines(_state(workflow)))
    if requires.models or requires.node_packs or workflow.timeout_seconds or missing:
        yield from _heading("Requires")
    for model in requires.models:
        origin = model.url or model.source
        yield f"models/{model.path}" + (f"  from {origin}" if origin else "  (the map does not say from where)")
    for pack in requires.node_packs:
        yield f"node pack {pack}"
    yield from missing
    if workflow.timeout_seconds:
        yield f"at most {workflow.timeout_seconds:g} seconds"


def _calls(workflow: Workflow, url: str) -> Iterator[RenderableType]:
    from engine.authoring.calls import LANGUAGES, example_call
    from engine.authoring.describing import example_payload, with_short_files

    for example in workflow.examples:
        yield from _heading(f"Example: {example.title}")
        if example.description:
            yield example.description
        yield json.dumps(with_short_files(workflow, example.payload), ensure_ascii=False)
    payload, is_the_authors = example_payload(workflow)
    shown: dict[str, Any] = with_short_files(workflow, payload)
    for language in LANGUAGES:
        yield from _heading(f"In {_TITLES[language]}")
        yield example_call(language, workflow.name, shown, url=url)
    notes = [f"`engine describe {workflow.name} --call curl` prints a call alone."]
    if not is_the_authors:
        notes.append("The map has no example: the values that are required are made up.")
    if shown != payload:
        notes.append("Put the URL of a file of yours in place of https://example.com/…")
    yield ""
    yield " ".join(notes)


_TITLES = {"curl": "curl", "python": "Python", "javascript": "JavaScript"}
