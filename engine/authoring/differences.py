"""What differs between two graphs, node by node. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from engine.graph import Graph, as_link, label_of, title_of
from engine.wording import shown


class Absent(Enum):
    """What stands for the value of an input that is not there; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class InputChange:
    """One input that differs.

    Attributes:
        name: of the input.
        before: its value or link; `ABSENT` where there was none.
        after: the same, of the later graph.
    """

    name: str
    before: Any
    after: Any

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types; a value that is not there is left out."""
        values = {"before": self.before, "after": self.after}
        return {"input": self.name} | {key: value for key, value in values.items() if value is not ABSENT}


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One node that differs.

    Attributes:
        node_id: of the node.
        class_type: its class, in the later graph where it is in both.
        kind: `changed`; `dropped` where only the earlier graph has it, `added` where only the later has.
        title: what its author called it; empty where that is its class.
        copy_of: the node of the earlier graph that an added one is a copy of; its inputs are then compared with those.
        class_before: its class in the earlier graph, where that is another.
        inputs: what differs; of an added node that is no copy, all.
    """

    node_id: str
    class_type: str
    kind: Literal["changed", "dropped", "added"]
    title: str = ""
    copy_of: str = ""
    class_before: str = ""
    inputs: tuple[InputChange, ...] = field(default=())

    def heading(self) -> str:
        """How it is called: `KSampler (3) "second pass"`."""
        return f"{self.class_type} ({self.node_id})" + (f' "{self.title}"' if self.title else "")

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types; what is empty is left out, but for the inputs of a changed node."""
        texts = {"title": self.title, "copy_of": self.copy_of, "class_before": self.class_before}
        return {
            "node": self.node_id,
            "class_type": self.class_type,
            "change": self.kind,
            **{key: text for key, text in texts.items() if text},
            "inputs": [each.as_dict() for each in self.inputs],
        }


def differences(
    before: Graph, after: Graph, *, original_of: Callable[[str], str] = lambda node_id: node_id
) -> tuple[NodeChange, ...]:
    """What the later graph has otherwise than the earlier one.

    Titles and whatever else a node holds beside its class and its inputs do not count: ComfyUI does not run them.

    Args:
        before: the earlier graph.
        after: the later graph.
        original_of: the node of the earlier graph that a node of the later one stands for; itself by default.

    Returns:
        The nodes in the order of the earlier graph, copies behind what they are of, and other new ones at the end.
    """
    added: dict[str, list[str]] = {}
    for node_id in after:
        if node_id not in before:
            original = original_of(node_id)
            added.setdefault(original if original in before else "", []).append(node_id)
    found: list[NodeChange] = []
    for node_id, node in before.items():
        if node_id not in after:
            found.append(NodeChange(node_id, node["class_type"], "dropped", _title(node)))
        else:
            found += _changed(node_id, node, after[node_id])
        found += [_added(copied, after[copied], node_id, node) for copied in added.get(node_id, ())]
    return (*found, *(_added(node_id, after[node_id], "", {}) for node_id in added.get("", ())))


def _changed(node_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[NodeChange]:
    inputs = tuple(_inputs(before, after))
    renamed = before["class_type"] != after["class_type"]
    if inputs or renamed:
        class_before = before["class_type"] if renamed else ""
        yield NodeChange(node_id, after["class_type"], "changed", _title(after), "", class_before, inputs)


def _added(node_id: str, node: Mapping[str, Any], original: str, before: Mapping[str, Any]) -> NodeChange:
    return NodeChange(
        node_id, node["class_type"], "added", _title(node), copy_of=original, inputs=tuple(_inputs(before, node))
    )


def _inputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[InputChange]:
    old, new = before.get("inputs", {}), after.get("inputs", {})
    for name in dict.fromkeys((*old, *new)):
        earlier, later = old.get(name, ABSENT), new.get(name, ABSENT)
        if not _same(earlier, later):
            yield InputChange(name, earlier, later)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON is: 20 and 20.0 are one number, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _title(node: Mapping[str, Any]) -> str:
    title = title_of(node) or ""
    return title if title != node.get("class_type") else ""


def lines_of(change: NodeChange, before: Graph, after: Graph) -> Iterator[str]:
    """A change for people: the node, and below it its inputs, each in a line."""
    what = {"changed": "", "dropped": "  dropped", "added": "  added"}[change.kind]
    if change.copy_of:
        what = f"  added, a copy of {label_of(before, change.copy_of)}"
    elif change.class_before:
        what = f"  was {change.class_before}"
    yield change.heading() + what
    for each in change.inputs:
        yield f"  {each.name}: {value_words(each.before, before)} -> {value_words(each.after, after)}"


def value_words(value: Any, graph: Graph) -> str:
    """A value or a link for people."""
    if value is ABSENT:
        return "(none)"
    if link := as_link(value):
        return f"{label_of(graph, link[0])}[{link[1]}]"
    return shown(value["__value__"] if isinstance(value, dict) and set(value) == {"__value__"} else value)
