"""`engine openapi`: an OpenAPI document of the workflows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.commands.folders import offered_workflows, workflow_folders
from engine.commands.output import print_json, print_note

_NOT_FOR_WORKERS = "directory"  # of the modes of a delivery: results go there on the command line alone


def write(names: Sequence[str], out: Path | None, url: str | None, *, strict: bool) -> None:
    """Write the document to a file, or to stdout. Of all workflows the broken ones are left out, and named on stderr.

    Args:
        names: of the workflows; all of them where there are none.
        out: the file; one that is there is written anew.
        url: the endpoint; RunPod's by default.
        strict: end with status 1 where a workflow was left out; nothing is written then.

    Raises:
        UnknownWorkflow, InvalidMap, BindingNotFound: a name is none, or that of a broken workflow.
        UsageError: there is no workflow that works.
        InvalidRequest: the file can't be written.
    """
    from engine.authoring.calls import RUNPOD_URL
    from engine.authoring.openapi import openapi_document
    from engine.catalog import Catalog
    from engine.errors import InvalidRequest, UsageError

    catalog = Catalog(workflow_folders(), only=offered_workflows())
    for name in names:
        catalog[name]  # says what is wrong: whoever names a workflow wants it in the document
    workflows, broken = [], []
    for entry in catalog.entries(names or None):
        if entry.workflow is None:
            broken.append(entry.source.name)
        else:
            workflows.append(entry.workflow)
    for name in broken:
        print_note(f"left out: {name} is broken; engine check {name} says why")
    if broken and strict:
        raise SystemExit(1)
    if not workflows:
        raise UsageError("nothing to write: WORKFLOWS_PATH leads to no workflow that works")
    document = openapi_document(workflows, delivery=_delivery_schema(), url=url or RUNPOD_URL)
    if out is None:
        print_json(document)
        return
    try:
        out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{out}: can't be written: {error.strerror}") from error


def _delivery_schema() -> dict[str, Any]:
    """The wishes of a delivery with their texts, absent where they are null."""
    from engine.request_schemas import delivery_properties

    properties = delivery_properties()
    mode = properties["mode"]
    mode["enum"] = [each for each in mode["enum"] if each != _NOT_FOR_WORKERS]
    mode["description"] = mode["description"].partition(";")[0]
    return {
        "type": "object",
        "description": "How the results are wanted.",
        "properties": properties,
        "additionalProperties": False,
    }
