"""Classes that the node catalogue does not know."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.wording import did_you_mean, listed, nearest

UNKNOWN_CLASS = code(
    "unknown_class",
    "warning",
    "The node catalogue does not know a node class: of its nodes nothing is checked. With `--live` an error: the "
    "running ComfyUI would refuse the graph.",
    "install the node pack that has it, or check with --live against the ComfyUI that runs it",
)

_INSTALL = "install the node pack that has it there"
_ALIKE = 0.85  # names of classes are made of the same few words; only a slip is worth naming


def unknown_classes(subject: Subject) -> Iterator[Finding]:
    """One finding for each class, at the first of its nodes."""
    nodes_of: dict[str, list[str]] = {}
    for node_id, node in subject.graph.items():
        if node_id in subject.queued and node["class_type"] not in subject.nodes:
            nodes_of.setdefault(node["class_type"], []).append(node_id)
    for class_type, node_ids in nodes_of.items():
        pack = subject.packs.get(class_type)
        near = nearest(class_type, subject.nodes, cutoff=_ALIKE)
        unknown = _INSTALL if subject.nodes.live else UNKNOWN_CLASS.remedy
        remedy = f'it comes with the node pack "{pack}"; install that' if pack else unknown
        if pack and subject.parameter_map and pack not in subject.parameter_map.requires.node_packs:
            remedy += f', and list "{pack}" in requires.node_packs'
        if near and not pack:
            remedy = f"write {near}, if that is meant; else {unknown}"
        guess = did_you_mean(class_type, [near]) if near else ""
        version = f"{'the running ComfyUI' if subject.nodes.live else 'the node catalogue'} ({subject.nodes.version})"
        yield UNKNOWN_CLASS.at(
            subject.template,
            f"{node_ids[0]}.class_type",
            f"{version} does not know {class_type}{guess}, the class of {_nodes(node_ids)}",
            remedy=remedy,
            severity=subject.refused,
        )


def _nodes(node_ids: list[str]) -> str:
    return f"{'node' if len(node_ids) == 1 else 'the nodes'} {listed(node_ids)}"
