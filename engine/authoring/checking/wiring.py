"""Links that do not fit, and nodes that nothing needs."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.bindings import Place
from engine.graph import label_of, links
from engine.wording import listed

WRONG_LINK_INDEX = code(
    "wrong_link_index",
    "warning",
    "A link leads to an output that the other node's class does not have.",
    "connect it anew in ComfyUI and export again",
)
WRONG_LINK_TYPE = code(
    "wrong_link_type",
    "warning",
    "A link brings a type that its input does not take.",
    "connect it anew in ComfyUI and export again",
)
UNNEEDED_NODES = code(
    "unneeded_nodes",
    "note",
    "Nodes that no output needs; they are left out of every run.",
    "delete them in ComfyUI and export again, if they are left over",
)


def link_findings(subject: Subject) -> Iterator[Finding]:
    """Links between known classes, of the nodes that an output needs."""
    for node_id, node in subject.graph.items():
        if node_id not in subject.queued:
            continue
        for name, (target, index) in links(node):
            writer = subject.written.get(Place(node_id, name))
            if target not in subject.graph or (writer and subject.always_replaces(writer)):
                continue
            source = subject.nodes.get(subject.graph[target]["class_type"])
            spec = subject.spec(node_id, name)
            if source is None:
                continue
            label, where = f"{label_of(subject.graph, node_id)}.{name}", f"{node_id}.inputs.{name}"
            if not 0 <= index < len(source.outputs):
                message = (
                    f"{label} is linked to output {index} of {label_of(subject.graph, target)}, which has "
                    f"{len(source.outputs) or 'none'} in ComfyUI {subject.nodes.version}"
                )
                yield WRONG_LINK_INDEX.at(subject.template, where, message, severity=subject.refused)
            elif spec is not None and not spec.accepts_link_of(source.outputs[index]):
                message = (
                    f"{label} takes {spec.type}, and is linked to output {index} of "
                    f"{label_of(subject.graph, target)}, which gives {source.outputs[index]}"
                )
                yield WRONG_LINK_TYPE.at(subject.template, where, message, severity=subject.refused)


def unneeded_nodes(subject: Subject) -> Iterator[Finding]:
    """The nodes that neither an output nor a preview needs, in one finding."""
    unneeded = [node_id for node_id in subject.graph if node_id not in subject.reachable]
    if unneeded and subject.workflow is not None:
        names = listed((label_of(subject.graph, node_id) for node_id in unneeded), most=5)
        yield UNNEEDED_NODES.at(subject.template, unneeded[0], f"no output needs {names}")
