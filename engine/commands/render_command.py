"""`engine render`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.catalog import Catalog
from engine.commands.folders import offered_workflows, workflow_folders
from engine.commands.output import print_json, print_line, print_note


def render(
    name: str, parameters: Sequence[str], payload_file: Path | None, *, as_json: bool, difference: bool = False
) -> None:
    """Print the graph that a payload gives, or what it changes in the template.

    Args:
        name: of the workflow.
        parameters: `key=value`, as `engine run` takes them.
        payload_file: with the payload.
        as_json: print the graph with the values, or the changes as a document.
        difference: print what differs from the template, with what is behind it.
    """
    from engine.commands.payloads import payload_from

    catalog = Catalog(workflow_folders(), only=offered_workflows())
    workflow = catalog[name]
    payload = payload_from(workflow, parameters, payload_file)
    values = workflow.validate(payload)
    graph = workflow.render(values, job_id="local")
    shown = workflow.without_media(values, {})
    if difference:
        from engine.authoring.explanations import Explanation

        explanation = Explanation(workflow, catalog.nodes, payload=payload, values=values, graph=graph)
        if as_json:
            changes = [each.as_dict() for each in explanation.changes()]
            print_json({"workflow": name, "changes": changes, "values": shown})
            return
        lines = list(explanation.lines())
        for line in lines:
            print_line(line)
        if not lines:
            print_note("nothing: the payload gives the template as it is")
    elif as_json:
        print_json({"workflow": name, "graph": graph, "values": shown})
    else:
        print_json(graph)
