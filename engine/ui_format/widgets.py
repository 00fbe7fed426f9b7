"""Which value of a node is which.

`widgets_values` is a list without names: which value belongs to which input follows from the node class, and from its
version. Newer exports tell the names as well, in `widgets_values_named` or by an input slot for every widget; where
they do, a list that was written by another version of the class is still read right.

The names and their order are taken from there, the values from the list: it is what the editor reads, and what people
change by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.nodes import NodeSpec
from engine.ui_format.reading import inputs_of, widget_of

_CONTROL = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What the editor does with a seed after each run; a widget of its own that no node class has."""

_DYNAMIC = frozenset({"COMFY_DYNAMICCOMBO_V3", "COMFY_DYNAMICGROUP_V3"})

# Widgets that the editor adds: buttons, players, previews.
_EDITORS = frozenset({"control_after_generate", "upload", "audioUI", "audio#1", "videopreview", "preview"})


@dataclass(frozen=True, slots=True)
class Widgets:
    """The values of a node by the names of its inputs.

    Attributes:
        values: for comfy-cli in place of the list; None where it reads the list best itself.
        unsure: the names whose values may be others'.
        left_out: how many values nobody can name.
        foreign: names that the node class of the catalogue does not have.
    """

    values: dict[str, Any] | None = None
    unsure: tuple[str, ...] = ()
    left_out: int = 0
    foreign: tuple[str, ...] = field(default=())


def widgets_of(node: Mapping[str, Any], spec: NodeSpec | None) -> Widgets:
    """What a node's values are.

    Args:
        node: of an export.
        spec: its class; None where the node catalogue does not have it.
    """
    values = without_buttons(node.get("widgets_values"))
    if not isinstance(values, list) or not values:
        return Widgets()
    named = _named(node, values, known=spec is not None)
    if spec is not None:
        if named is None:
            return Widgets()
        kept = {name: value for name, value in named.items() if _has(spec, name)}
        foreign = [name for name, value in named.items() if name not in kept and not _editors(name, value)]
        return Widgets(kept, foreign=tuple(foreign))
    if named is not None:
        return Widgets({name: value for name, value in named.items() if not _editors(name, value)})
    # By position, as comfy-cli does; but what has no widget never takes a value.
    names, plain = _slots(node), _without_control(values)
    if not names and any(isinstance(value, dict) and "lora" in value for value in values):
        return Widgets()  # rgthree's Power Lora Loader and its like: comfy-cli names what has a `lora` or a `type`
    return Widgets(dict(zip(names, plain, strict=False)), tuple(names), max(0, len(plain) - len(names)))


def without_buttons(values: Any) -> Any:
    """The values of a node without what is none: some exports have whole buttons of the editor among them.

    One such object, and comfy-cli takes all values of the node for those of a LoRA stack.
    """
    if not isinstance(values, list):
        return values
    return [value for value in values if not (isinstance(value, dict) and _unsaved(value.get("options")))]


def _unsaved(options: Any) -> bool:
    return isinstance(options, dict) and options.get("serialize") is False


def _named(node: Mapping[str, Any], values: list[Any], *, known: bool) -> dict[str, Any] | None:
    """All values by their names; None where the export does not tell them."""
    recorded = node.get("widgets_values_named")
    if isinstance(recorded, dict) and len(recorded) == len(values):
        return dict(zip(recorded, values, strict=True))
    names, plain = _slots(node), _without_control(values)
    if len(names) == len(plain):
        return dict(zip(names, plain, strict=True))
    # The record is shorter where two of the editor's own widgets go by one name.
    return dict(recorded) if isinstance(recorded, dict) and recorded and not known else None


def _slots(node: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for slot in inputs_of(node) if (name := widget_of(slot))))


def _without_control(values: list[Any]) -> list[Any]:
    return list(_uncontrolled(values))


def _uncontrolled(values: list[Any]) -> Iterator[Any]:
    before: Any = None
    for value in values:
        after_number = isinstance(before, int | float) and not isinstance(before, bool)
        if not (after_number and isinstance(value, str) and value in _CONTROL):
            yield value
        before = value


def _has(spec: NodeSpec, name: str) -> bool:
    base = spec.inputs.get(name.split(".")[0])
    return spec.input(name) is not None or (base is not None and base.type in _DYNAMIC)


def _editors(name: str, value: Any) -> bool:
    return name in _EDITORS or value in (None, "") or (isinstance(value, str) and value in _CONTROL)
