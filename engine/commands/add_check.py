"""The check that `engine add` ends with."""

from __future__ import annotations

from typing import Any

from engine.catalog import Catalog, Source
from engine.commands.output import print_line
from engine.nodes import NodeCatalogue


def checked(source: Source, nodes: NodeCatalogue) -> dict[str, Any]:
    """Load a workflow, and say what is wrong with it."""
    entry = next(iter(Catalog([source.folder], nodes).entries({source.name})))
    error, workflow = entry.error, entry.workflow
    return {
        "name": source.name,
        "problems": ([str(each) for each in error.problems] or [error.message]) if error else [],
        "warnings": list(workflow.warnings) if workflow else [],
        "examples": len(workflow.examples) if workflow else 0,
    }


def print_check(report: dict[str, Any]) -> None:
    """The same for people."""
    print_line(f"\n{'FAILED' if report['problems'] else 'ok':<7} {report['name']}  ({report['examples']} examples)")
    for problem in report["problems"]:
        print_line(f"          {problem}")
    for warning in report["warnings"]:
        print_line(f"          warning: {warning}")
