"""`engine list` and `describe`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.catalog import Catalog
from engine.commands.folders import workflow_folders
from engine.commands.output import print_json, print_line, print_note

if TYPE_CHECKING:
    from engine.catalog import Source
    from engine.workflow import Workflow

CHECKED_WHEN_LISTED = 50  # compiling takes some ms each; above this `list` reads titles and `check` checks


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


def describe(name: str, *, as_json: bool) -> None:
    """Print what a workflow takes and gives."""
    workflow = Catalog(workflow_folders())[name]
    if as_json:
        print_json(workflow.describe())
        return
    print_line(f"{workflow.name}: {workflow.title} (version {workflow.version})")
    if workflow.description:
        print_line(workflow.description)
    print_line("\nParameters")
    for key, schema in workflow.payload_schema()["properties"].items():
        print_line(f"  {key:<18} {_type_words(workflow, key, schema)}")
        if "description" in schema:
            print_line(f"  {'':<18} {schema['description']}")
    print_line("\nOutputs")
    for output in workflow.outputs:
        print_line(f"  {output.name:<18} {output.kind or 'any'}")
    if workflow.requires.models:
        print_line("\nModels")
        for model in workflow.requires.models:
            print_line(f"  {model.path}")
    for example in workflow.examples[:1]:
        print_line(f"\nExample: {example.title}")
        print_line(f"  {_shortened(json.dumps({'workflow': name, 'payload': example.payload}, ensure_ascii=False))}")


def _shortened(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:400]}…"


def _type_words(workflow: Workflow, key: str, schema: dict[str, Any]) -> str:
    parameter = workflow.parameters[key]
    words: list[str] = [parameter.type]
    low, high = schema.get("minimum"), schema.get("maximum")
    if parameter.type != "seed" and (low is not None or high is not None):
        words.append(f"{'' if low is None else low}..{'' if high is None else high}")
    if "multipleOf" in schema:
        words.append(f"a multiple of {schema['multipleOf']}")
    if "enum" in schema:
        from engine.wording import listed

        words.append(f"one of: {listed([each for each in schema['enum'] if each is not None])}")
    if parameter.required:
        words.append("required")
    elif schema.get("default") is not None:
        words.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return ", ".join(words)
