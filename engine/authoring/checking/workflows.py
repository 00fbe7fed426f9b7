"""All checks of one workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.authoring.checking.bindings import duplicate_titles, not_expected
from engine.authoring.checking.classes import class_findings
from engine.authoring.checking.inputs import input_findings
from engine.authoring.checking.live import live_findings
from engine.authoring.checking.loading import compile_warnings, load_findings, parts_of
from engine.authoring.checking.models import model_findings
from engine.authoring.checking.parameters import parameter_findings
from engine.authoring.checking.paths import path_findings
from engine.authoring.checking.secrets import secret_findings
from engine.authoring.checking.subject import Subject
from engine.authoring.checking.wiring import link_findings, unneeded_nodes
from engine.authoring.finding import Finding, Severity
from engine.catalog import Entry
from engine.node_packs import KnownPacks
from engine.nodes import NodeCatalogue
from engine.workflow import Workflow

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    class_findings,
    input_findings,
    link_findings,
    unneeded_nodes,
    duplicate_titles,
    not_expected,
    parameter_findings,
    model_findings,
    live_findings,
    secret_findings,
    path_findings,
)
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Checked:
    """A workflow and what was found.

    Attributes:
        name: of the workflow.
        findings: the worst first.
        workflow: it, if it loads.
    """

    name: str
    findings: tuple[Finding, ...]
    workflow: Workflow | None = None

    def fails(self, *, strict: bool) -> bool:
        """Whether a check of it fails: there is an error, or, where that is strict, a warning."""
        counts = self.counts()
        return bool(counts["error"] or (strict and counts["warning"]))

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        found = Counter(each.severity for each in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def as_dict(self, *, strict: bool) -> dict[str, Any]:
        """In JSON's types."""
        return {
            "name": self.name,
            "status": "failed" if self.fails(strict=strict) else "ok",
            "examples": len(self.workflow.examples) if self.workflow else 0,
            "findings": [each.as_dict() for each in self.findings],
        }


def check_entry(
    entry: Entry,
    nodes: NodeCatalogue,
    packs: KnownPacks,
    more: Callable[[Workflow], Iterator[Finding]] | None = None,
) -> Checked:
    """Check one workflow.

    Args:
        entry: of a catalog, loaded.
        nodes: what it was loaded with.
        packs: the node packs that snapshots have.
        more: findings that need other files than the two.
    """
    source, workflow = entry.source, entry.workflow
    graph, document, parameter_map = parts_of(source)
    subject = Subject(
        source.name,
        graph,
        nodes,
        packs=packs,
        parameter_map=parameter_map,
        document=document if isinstance(document, dict) else None,
        workflow=workflow,
    )
    found: list[Finding] = []
    if entry.error:
        found += load_findings(source, entry.error, nodes)
    if workflow:
        found += compile_warnings(workflow, subject.map)
    for check in CHECKS:
        found += check(subject)
    if workflow and more:
        found += more(workflow)
    told = list(dict.fromkeys(found))
    return Checked(source.name, tuple(sorted(told, key=lambda each: SEVERITIES.index(each.severity))), workflow)
