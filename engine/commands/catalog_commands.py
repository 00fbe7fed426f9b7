"""`engine list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.catalog import Catalog
from engine.commands.folders import offered_workflows, workflow_folders
from engine.commands.output import print_json, print_line, print_note
from engine.commands.readying import missing_lines, readiness

if TYPE_CHECKING:
    from engine.catalog import Source

_MOST_TOLD = 5  # of so many what is missing is told file by file; of more in one line each
CHECKED_WHEN_LISTED = 50  # compiling takes some ms each; above this `list` reads titles and `check` checks


def list_workflows(*, as_json: bool) -> None:
    """Print every workflow with its title, what is wrong with broken ones, and what is missing of others."""
    catalog = Catalog(workflow_folders(), only=offered_workflows())
    sources = catalog.sources()
    labels = {each.path: str(each) for each in catalog.folders}
    checked = len(sources) <= CHECKED_WHEN_LISTED
    lines: list[dict[str, Any]]
    if checked:
        lines = _checked_lines(catalog)
    else:
        lines = [each.as_dict() for each in catalog.missing()]
        lines += [_unchecked_line(each) for each in sources.values()]
    for line in lines:
        if (source := sources.get(line["name"])) and source.shadowed:
            line["replaces"] = [labels.get(folder, str(folder)) for folder in source.shadowed]
    if as_json:
        print_json({"workflows": lines, **({"warnings": catalog.troubles()} if catalog.troubles() else {})})
        return
    lacking = sum(bool(_lacks(line)) for line in lines)
    width = max((len(line["name"]) for line in lines), default=0)
    for line in lines:
        note = f"  (replaces the one in {', '.join(line['replaces'])})" if "replaces" in line else ""
        title = line.get("title", "")
        what = {"broken": "BROKEN", "not_ready": f"NOT READY  {title}"}.get(line["status"], title)
        lacks = _lacks(line) if lacking > _MOST_TOLD else ""
        print_line(f"{line['name']:<{width}}  {what}{lacks}{note}".rstrip())
        missing = missing_lines(line) if lacking <= _MOST_TOLD else ()
        for problem in (*line.get("problems", ()), *missing):
            print_line(f"{'':<{width}}    {problem}")
    if lacking > _MOST_TOLD:
        print_note(f"{lacking} of {len(lines)} lack models or node packs; engine describe NAME tells which of one")
    if not lines:
        print_note("no workflow yet: put NAME.json into templates/ and into schemas/")
    if not checked:
        print_note(f"{len(lines)} workflows, not checked; engine check does that")


def _lacks(line: dict[str, Any]) -> str:
    """What keeps a workflow from running as it comes, in a word; empty where nothing does."""
    if missing := line.get("missing"):
        return f"  ({len(missing)} missing)"
    defaults = sum(bool(each.get("default_of")) for each in line.get("missing_for_some", ()))
    return f"  (default missing: {defaults})" if defaults else ""


def _checked_lines(catalog: Catalog) -> list[dict[str, Any]]:
    with readiness() as ready:
        return [
            entry.as_dict() | (ready.state(entry.workflow) if ready and entry.workflow else {})
            for entry in catalog.entries()
        ]


def _unchecked_line(source: Source) -> dict[str, Any]:
    if missing := source.missing_files:
        problems = [f"there is no {path}" for path in missing]
        return {"name": source.name, "status": "broken", "problems": problems}
    return {"name": source.name, "status": "not checked", "title": source.title}
