"""Where the node classes come from: ComfyUI itself, or a pack of the snapshot that a workflow is to run with."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding, Severity
from engine.node_packs import KnownPack
from engine.snapshots.lock import pack_of_module
from engine.wording import did_you_mean, listed, nearest

UNKNOWN_CLASS = code(
    "unknown_class",
    "warning",
    "The node catalogue does not know a node class: of its nodes nothing is checked. With `--live` an error: the "
    "running ComfyUI would refuse the graph. With a chosen snapshot an error as well.",
    "install the node pack that has it, or check with --live against the ComfyUI that runs it",
)
NOT_IN_SNAPSHOT = code(
    "not_in_snapshot",
    "error",
    "The chosen snapshot lacks a node pack that the workflow uses, and a lock knows which one that is.",
    "choose a snapshot that has the pack, or freeze one of a ComfyUI that has it",
)
NEEDS_SNAPSHOT = code(
    "needs_snapshot",
    "note",
    "A node class comes from a pack of a snapshot, and none was chosen.",
    "build with that snapshot, and choose it: --snapshot NAME, or SNAPSHOT in the environment",
)
MISSING_PACK = code(
    "missing_pack",
    "error",
    "`requires.node_packs` names a pack that the chosen snapshot lacks. A warning where none was chosen.",
    "correct the name, or freeze a snapshot of a ComfyUI that has the pack",
)
UNLISTED_PACK = code(
    "unlisted_pack",
    "note",
    "The graph uses a node pack that `requires.node_packs` does not list.",
    "list it there",
)

_INSTALL = "install the node pack that has it there"
_ALIKE = 0.85  # names of classes are made of the same few words; only a slip is worth naming


def class_findings(subject: Subject) -> Iterator[Finding]:
    """What is not proven to be there: one finding for each class, at the first of its nodes, and for each pack."""
    nodes_of: dict[str, list[str]] = {}
    for node_id, node in subject.graph.items():
        if node_id in subject.queued:
            nodes_of.setdefault(node["class_type"], []).append(node_id)
    used: dict[str, tuple[KnownPack, str]] = {}
    for class_type, node_ids in nodes_of.items():
        pack = None if _is_comfyuis(class_type, subject) else subject.packs.of_class(class_type)
        if pack:
            used.setdefault(pack.name, (pack, node_ids[0]))
        yield from _of_class(class_type, node_ids, pack, subject)
    yield from _of_packs(subject, used)


def _is_comfyuis(class_type: str, subject: Subject) -> bool:
    """Whether ComfyUI itself has it, as far as the node catalogue tells."""
    node = subject.nodes.object_info.get(class_type)
    return node is not None and pack_of_module(node.get("python_module")) is None


def _of_class(class_type: str, node_ids: list[str], pack: KnownPack | None, subject: Subject) -> Iterator[Finding]:
    where, chosen = f"{node_ids[0]}.class_type", subject.packs.chosen
    what = f"{class_type}, the class of {_nodes(node_ids)}"
    if subject.nodes.live:
        if class_type not in subject.nodes:
            yield _unknown(class_type, node_ids, pack, subject)
    elif chosen and pack and pack.snapshot != chosen:
        message = f"{what}, is of the pack {pack}, which the snapshot {chosen} lacks and {pack.snapshot} has"
        yield NOT_IN_SNAPSHOT.at(subject.template, where, message)
    elif chosen and pack and pack.name in subject.packs.gone:
        message = f"{what}, is of the pack {pack}, which the snapshot {chosen} lacks, though its lock has it"
        yield NOT_IN_SNAPSHOT.at(subject.template, where, message)
    elif pack and not chosen:
        message = f"{what}, is of the pack {pack}: it needs the snapshot {pack.snapshot}"
        yield NEEDS_SNAPSHOT.at(subject.template, where, message)
    elif class_type not in subject.nodes and not pack:
        yield _unknown(class_type, node_ids, None, subject)


def _unknown(class_type: str, node_ids: list[str], pack: KnownPack | None, subject: Subject) -> Finding:
    near = nearest(class_type, subject.nodes, cutoff=_ALIKE)
    chosen = "" if subject.nodes.live else subject.packs.chosen
    remedy = _INSTALL if subject.nodes.live else UNKNOWN_CLASS.remedy
    if chosen:
        remedy = "find the pack that has it, put it into that ComfyUI, and freeze the snapshot again"
    if pack:
        remedy = f"it comes with the node pack {pack}; install that"
    elif near:
        remedy = f"write {near}, if that is meant; else {remedy}"
    guess = did_you_mean(class_type, [near]) if near else ""
    version = f"{'the running ComfyUI' if subject.nodes.live else 'the node catalogue'} ({subject.nodes.version})"
    knows = f"{version} does not know {class_type}{guess}, the class of {_nodes(node_ids)}"
    if chosen:
        knows = f"neither ComfyUI {subject.nodes.version} nor a pack of the snapshot {chosen} has {class_type}{guess}, "
        knows += f"the class of {_nodes(node_ids)}"
    if not pack and subject.packs.locks:
        others = [name for name in subject.packs.locks if name != chosen]
        knows += f"; no other snapshot knows which pack has it ({listed(others)})" if chosen and others else ""
        knows += "" if chosen and others else "; no lock knows which pack has it"
    severity = "error" if chosen else subject.refused
    return UNKNOWN_CLASS.at(subject.template, f"{node_ids[0]}.class_type", knows, remedy=remedy, severity=severity)


def _of_packs(subject: Subject, used: dict[str, tuple[KnownPack, str]]) -> Iterator[Finding]:
    if subject.parameter_map is None:
        return
    listed_there = subject.parameter_map.requires.node_packs
    packs = subject.packs
    for index, name in enumerate(listed_there):
        found = packs.named(name)
        there_too = [each for each in found if not packs.chosen or each.snapshot == packs.chosen]
        if not packs.locks or any(each.name not in packs.gone for each in there_too):
            continue
        there = [each for lock in packs.locks.values() for each in lock.packs]
        said = f"the snapshot {packs.chosen} has no pack {name}" if packs.chosen else f"no snapshot has the pack {name}"
        if there_too:
            said = f"the snapshot {packs.chosen} lacks the pack {there_too[0]}, though its lock has it"
        else:
            said += f"; {found[0].snapshot} has {found[0]}" if found else did_you_mean(name, there)
        severity: Severity = "error" if packs.chosen else "warning"
        yield MISSING_PACK.at(subject.map, f"requires.node_packs[{index}]", said, severity=severity)
    for pack, node_id in used.values():
        if not any(pack in packs.named(each) for each in listed_there):
            message = f"node {node_id} is of the pack {pack.name}, which is not listed"
            yield UNLISTED_PACK.at(subject.map, "requires.node_packs", message)


def _nodes(node_ids: list[str]) -> str:
    return f"{'node' if len(node_ids) == 1 else 'the nodes'} {listed(node_ids)}"
