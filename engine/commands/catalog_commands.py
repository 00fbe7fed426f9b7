"""`engine list`, `render` and `check`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.catalog import Catalog
from engine.commands.output import print_json, print_line, print_note

if TYPE_CHECKING:
    from engine.catalog import Entry, Source

CHECKED_WHEN_LISTED = 50  # compiling takes some ms each; above this `list` reads titles and `check` checks


def workflow_folders() -> tuple[Path, ...]:
    """WORKFLOWS_PATH, without the cost of all other settings: a listing is to be instant."""
    from engine import bundled_workflows, split_path

    path = os.environ.get("WORKFLOWS_PATH")
    return split_path(path) if path else (bundled_workflows(),)


def list_workflows(*, as_json: bool) -> None:
    """Print every workflow with its title, and what is wrong with broken ones."""
    catalog = Catalog(workflow_folders())
    sources = catalog.sources()
    checked = len(sources) <= CHECKED_WHEN_LISTED
    lines: list[dict[str, Any]]
    if checked:
        lines = [entry.as_dict() for entry in catalog.entries()]
    else:
        lines = [_unchecked_line(each) for each in sources.values()]
    for line in lines:
        if shadowed := sources[line["name"]].shadowed:
            line["replaces"] = [str(folder) for folder in shadowed]
    if as_json:
        print_json({"workflows": lines})
        return
    width = max((len(line["name"]) for line in lines), default=0)
    for line in lines:
        note = f"  (replaces the one in {', '.join(line['replaces'])})" if "replaces" in line else ""
        what = "BROKEN" if line["status"] == "broken" else line.get("title", "")
        print_line(f"{line['name']:<{width}}  {what}{note}".rstrip())
        for problem in line.get("problems", ()):
            print_line(f"{'':<{width}}    {problem}")
    if not lines:
        print_note("no workflow yet: put NAME.json into templates/ and into schemas/")
    if not checked:
        print_note(f"{len(lines)} workflows, not checked; engine check does that")


def _unchecked_line(source: Source) -> dict[str, Any]:
    missing = [path for path in (source.template, source.map) if not path.is_file()]
    if missing:
        problems = [f"there is no {path.parent.name}/{path.name}" for path in missing]
        return {"name": source.name, "status": "broken", "problems": problems}
    return {"name": source.name, "status": "not checked", "title": source.title}


def render(name: str, parameters: Sequence[str], payload_file: Path | None, *, as_json: bool) -> None:
    """Print the graph that a payload gives."""
    from engine.commands.payloads import payload_from

    workflow = Catalog(workflow_folders())[name]
    values = workflow.validate(payload_from(workflow, parameters, payload_file))
    graph = workflow.render(values, job_id="local")
    if as_json:
        print_json({"workflow": name, "graph": graph, "values": workflow.without_media(values, {})})
    else:
        print_json(graph)


def check(names: Sequence[str], catalogue: Path | None, *, as_json: bool) -> None:
    """Check workflows and tell every problem; the status is 1 where there is one."""
    from engine.nodes import NodeCatalogue

    catalog = Catalog(workflow_folders(), NodeCatalogue.load(catalogue) if catalogue else None)
    for name in names:
        if name not in catalog:
            catalog[name]  # says so, with the nearest name
    report = [_checked(entry) for entry in catalog.entries(names or None)]
    failed = sum(bool(each["problems"]) for each in report)
    if as_json:
        print_json({"workflows": report})
    else:
        for each in report:
            print_line(f"{'FAILED' if each['problems'] else 'ok':<7} {each['name']}  ({each['examples']} examples)")
            for problem in each["problems"]:
                print_line(f"          {problem}")
            for warning in each["warnings"]:
                print_line(f"          warning: {warning}")
        print_note(f"{len(report) - failed} of {len(report)} workflows are fine (ComfyUI {catalog.nodes.version})")
    if failed:
        raise SystemExit(1)


def _checked(entry: Entry) -> dict[str, Any]:
    problems = [str(problem) for problem in entry.error.problems] or [entry.error.message] if entry.error else []
    workflow = entry.workflow
    return {
        "name": entry.source.name,
        "problems": problems,
        "warnings": list(workflow.warnings) if workflow else [],
        "examples": len(workflow.examples) if workflow else 0,
    }
