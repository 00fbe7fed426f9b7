"""What `engine add` says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.authoring.summary import Row, row, rows
from engine.authoring.writing import compact_text
from engine.commands.add_plans import Plan
from engine.commands.output import print_line
from engine.nodes import NodeCatalogue

_SAMPLE_FILES = {
    "image": "picture.png",
    "mask": "mask.png",
    "video": "clip.mp4",
    "audio": "sound.wav",
    "file": "file.bin",
}
_SAMPLES: Mapping[str, str] = {
    "integer": "1",
    "number": "1",
    "boolean": "true",
    "seed": "7",
    "array": ":=[]",
    "object": ":={}",
}


def as_document(plan: Plan, nodes: NodeCatalogue, *, written: bool, replaces: Sequence[Path]) -> dict[str, Any]:
    """All that was done, or would be, in JSON's types."""
    merged = plan.merge
    return {
        "name": plan.source.name,
        "action": plan.action,
        "written": written and bool(plan.files),
        "files": [str(path) for path in plan.files],
        "replaces": [str(folder) for folder in replaces],
        "parameters": [
            {"name": each.name, "type": each.type, "value": each.value, "places": list(each.places)}
            for each in rows(plan.document, plan.graph, nodes)
        ],
        "outputs": plan.document.get("outputs", {}),
        "left_out": plan.left_out,
        "questions": [
            {"text": each.text, "options": [{"label": one.label, "adds": one.adds} for one in each.options]}
            for each in plan.open_questions
        ],
        "moved": list(merged.moved) if merged else [],
        "lost": [{"where": each.where, "message": each.message} for each in merged.lost] if merged else [],
        "new": plan.fresh,
        "new_added": plan.added,
        "is_other": merged.is_other if merged else False,
        "notes": list(plan.notes),
    }


def print_report(plan: Plan, nodes: NodeCatalogue, *, written: bool, replaces: Sequence[Path]) -> None:
    """The same for people."""
    _print_files(plan, written=written, replaces=replaces)
    if plan.merge is None:
        _print_found(plan, nodes)
    else:
        _print_merged(plan, nodes, written=written)
    for note in plan.notes:
        print_line(f"note: {note}")


def next_command(plan: Plan, folders: Iterable[Path]) -> str:
    """What to try now: a run with all that a payload must hold."""
    words = ["engine", "run", plan.source.name]
    parameters: Mapping[str, Any] = plan.document.get("parameters", {})
    wanted = [name for name, each in parameters.items() if each.get("required")]
    for name in wanted or [name for name, each in parameters.items() if each.get("multiline")][:1]:
        words += ["-p", _sample(name, parameters[name])]
    return _where_it_is(plan, folders) + " ".join(words)


def check_command(plan: Plan, folders: Iterable[Path]) -> str:
    """What to try once a defect is mended."""
    return f"{_where_it_is(plan, folders)}engine check {plan.source.name}"


def shown_path(path: Path) -> str:
    """A path as it is typed here."""
    resolved = path.resolve()
    here = Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(path)


def _where_it_is(plan: Plan, folders: Iterable[Path]) -> str:
    """What stands before a command that is to find the workflow; nothing where it does by itself."""
    folder = plan.source.folder
    known = folder.resolve() in [each.resolve() for each in folders]
    return "" if known else f"WORKFLOWS_PATH={shlex.quote(str(folder))} "


def _sample(name: str, parameter: Mapping[str, Any]) -> str:
    kind = parameter.get("type", "string")
    if kind in _SAMPLE_FILES:
        return f"{name}=@{_SAMPLE_FILES[kind]}"
    if parameter.get("enum"):
        return f"{name}={shlex.quote(str(parameter['enum'][0]))}"
    sample = _SAMPLES.get(kind)
    if sample is None:
        return f'{name}="…"'
    return f"{name}{sample}" if sample.startswith(":=") else f"{name}={sample}"


def _print_files(plan: Plan, *, written: bool, replaces: Sequence[Path]) -> None:
    name = plan.source.name
    if not plan.files:
        print_line(f"{name} is up to date: nothing was changed" if written else f"{name} is up to date")
        return
    verb = "wrote" if written else "would write"
    for path in plan.files:
        instead = " (replaced)" if path in plan.replaced else ""
        print_line(f"{verb} {shown_path(path)}{instead}")
    for folder in replaces:
        print_line(
            f"note: it takes the place of the {name} in {shown_path(folder)}, which WORKFLOWS_PATH names earlier"
        )


def _print_found(plan: Plan, nodes: NodeCatalogue) -> None:
    _print_table("Parameters", rows(plan.document, plan.graph, nodes))
    _print_outputs(plan)
    if plan.left_out:
        print_line(f"\nalso found: {', '.join(plan.left_out)}; add them with --all")
    if plan.open_questions:
        print_line("\nQuestions, which --interactive asks; without an answer the map stands as it is")
        for question in plan.open_questions:
            print_line(f"  {question.text}")
            for option in question.options:
                print_line(f"    - {option.label}")


def _print_merged(plan: Plan, nodes: NodeCatalogue, *, written: bool) -> None:
    merged = plan.merge
    if merged is None:
        return
    if merged.is_other:
        print_line("this export looks like another workflow: hardly a node that the map names is in it")
    for text in merged.moved:
        print_line(f"moved: {text}")
    for lost in merged.lost:
        print_line(f"{'lost' if written else 'would be lost'}: {lost}")
    word = "added" if plan.added else "new in this export"
    for name, parameter in plan.fresh.get("parameters", {}).items():
        print_line(f"{word}: {row(name, parameter, plan.document, plan.graph, nodes)}")
    for name, output in plan.fresh.get("outputs", {}).items():
        print_line(f"{word}: the output {name}, of node {output['node']}")
    if plan.fresh and not plan.added:
        _print_not_added(plan, written=written)


def _print_not_added(plan: Plan, *, written: bool) -> None:
    """How what is new gets into the map; once the export is the template, nothing of it is new any more."""
    if not written:
        print_line("--new adds what is new")
        return
    print_line(f"nothing of that is in the map; where callers are to have it, add to schemas/{plan.source.map.name}")
    for section, entries in plan.fresh.items():
        for name, entry in entries.items():
            print_line(f"  {section}: {compact_text(name)}: {compact_text(entry)}")


def _print_table(title: str, table: Sequence[Row]) -> None:
    print_line(f"\n{title}")
    widths = [max((len(text) for text in column), default=0) for column in zip(*map(_cells, table), strict=True)]
    for each in table:
        cells = [text.ljust(width) for text, width in zip(_cells(each), widths, strict=True)]
        print_line(f"  {'  '.join(cells)}".rstrip())
    if not table:
        print_line("  none was found")


def _cells(each: Row) -> tuple[str, str, str, str]:
    return each.name, each.type, each.value, ", ".join(each.places)


def _print_outputs(plan: Plan) -> None:
    print_line("\nOutputs")
    outputs: Mapping[str, Any] = plan.document.get("outputs", {})
    width = max((len(name) for name in outputs), default=0)
    for name, output in outputs.items():
        node = plan.graph.get(output["node"], {})
        print_line(
            f"  {name:<{width}}  {output.get('kind') or 'any':<5}  {node.get('class_type', 'node')} ({output['node']})"
        )
    if not outputs:
        print_line("  every node that saves something")
