"""How many of the official workflows convert, parse as a graph and load as a workflow without parameters."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from support.official import converted
from support.workflows import write_workflow

from engine import Catalog
from engine.authoring.draft import Export
from engine.errors import EngineError
from engine.graph import parse_graph


def loads(export: Export, folder: Path, name: str) -> EngineError | None:
    """What is wrong with an export as a workflow with an empty map; None where it loads."""
    parse_graph(json.loads(export.text), label=name)
    write_workflow(folder, name, export.text.decode(), {"parameters": {}})
    try:
        Catalog([folder])[name].describe()
    except EngineError as error:
        return error
    return None


def convert(names: Iterable[str] | None = None) -> int:
    """Print the shares, and the reasons of the rest in groups; 1 where one crashed."""
    total, read, loaded = 0, 0, 0
    notes: Counter[str] = Counter()
    failures: dict[str, list[str]] = defaultdict(list)
    apps, lost = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, outcome) in enumerate(converted(names)):
            total += 1
            if isinstance(outcome, EngineError):
                failures[f"not converted: {_kind(outcome.message)}"].append(name)
                continue
            read += 1
            for note in outcome.notes:
                notes[_kind(note)] += 1
            if outcome.app_mode:
                apps.update(inputs=len(outcome.app_mode.inputs), lost=len(outcome.app_mode.lost), workflows=1)
                lost += [f"{name}: {each}" for each in outcome.app_mode.lost]
            error = loads(outcome, Path(folder), f"w{number}")
            if error is None:
                loaded += 1
            else:
                failures[f"not loaded: {_kind(error.message)}"].append(name)
    print(f"{total} official workflows: {read} convert to a graph ({_share(read, total)}),", end=" ")  # noqa: T201
    print(f"{loaded} load as a workflow ({_share(loaded, total)})")  # noqa: T201
    for reason, of in sorted(failures.items(), key=lambda each: -len(each[1])):
        print(f"  {len(of):4} {reason}: {', '.join(of[:5])}{' …' if len(of) > 5 else ''}")  # noqa: T201
    print("notes:")  # noqa: T201
    for note, count in notes.most_common():
        print(f"  {count:4} {note}")  # noqa: T201
    print(f"App mode: {dict(apps)}")  # noqa: T201
    print("\n".join(f"  {each}" for each in lost))  # noqa: T201
    return 0


def _share(part: int, total: int) -> str:
    return f"{part / total:.1%}" if total else "0%"


def _kind(message: str) -> str:
    """A message without what is its own of one file."""
    message = message.split("\n")[0]
    message = re.sub(r'"[^"]*"', '"…"', message)
    head, _, _ = message.removeprefix("w").partition(": ")
    if re.fullmatch(r"\d+|[\w.-]+\.json", head):
        message = message.partition(": ")[2]
    return re.sub(r"\d+", "N", message)[:90]
