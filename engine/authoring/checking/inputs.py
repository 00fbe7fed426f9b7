"""Inputs that are missing, unknown, or hold what their node does not take.

What ComfyUI does with each was read off `execution.py::validate_inputs` (0.3.64 and 0.8.0): it converts a literal to
the type of the input, and compares it then with the range and the choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.authoring.checking.codes import code
from engine.authoring.checking.subject import Subject
from engine.authoring.finding import Finding
from engine.graph import as_link, label_of
from engine.nodes import InputSpec, NodeSpec
from engine.wording import did_you_mean, listed, nearest, not_available, shown

MISSING_INPUT = code(
    "missing_input",
    "warning",
    "A node lacks an input that its class requires: ComfyUI refuses the graph.",
    "connect it or fill it in in ComfyUI and export again, or bind a parameter to it with `create`",
)
UNKNOWN_INPUT = code(
    "unknown_input",
    "warning",
    "A node has an input that its class does not know: ComfyUI ignores what stands there.",
    "export the graph again from the ComfyUI that runs it",
)
OUT_OF_RANGE = code(
    "out_of_range",
    "warning",
    "A number is outside what its input takes: ComfyUI refuses the graph.",
    "correct the value in ComfyUI and export again",
)
NO_CHOICE = code(
    "no_choice",
    "warning",
    "A value is none of its input's choices: ComfyUI refuses the graph. Lists of files are looked at with `--live` "
    "alone.",
    "choose another in ComfyUI and export again",
)
WRONG_VALUE = code(
    "wrong_value",
    "warning",
    "A literal is not of the type that its input takes.",
    "connect or correct it in ComfyUI and export again",
)

_BUTTONS = frozenset({"upload", "button"})
"""What ComfyUI's editor adds to nodes that take an upload: no input, and no loss."""


def input_findings(subject: Subject) -> Iterator[Finding]:
    """What is wrong with the inputs of the nodes that an output needs."""
    for node_id, node in subject.graph.items():
        spec = subject.nodes.get(node["class_type"])
        if spec is None or node_id not in subject.queued:
            continue
        inputs = node.get("inputs", {})
        yield from _missing(subject, node_id, spec, inputs)
        for name, value in inputs.items():
            each = spec.input(name)
            if each is None:
                yield from _unknown(subject, node_id, spec, name, value)
            elif not as_link(value) and subject.literal_counts(node_id, name):
                yield from _value(subject, node_id, name, value, each)


def _missing(subject: Subject, node_id: str, spec: NodeSpec, inputs: dict[str, Any]) -> Iterator[Finding]:
    made = {place.input_name for place, each in subject.written.items() if place.node_id == node_id and each.always}
    missing = [
        name
        for name, each in spec.inputs.items()
        if each.required and name not in inputs and name not in spec.autogrow and name not in made
    ]
    if missing:
        yield MISSING_INPUT.at(
            subject.template,
            f"{node_id}.inputs.{missing[0]}",
            f"{label_of(subject.graph, node_id)} lacks {listed(missing)}, which {_version(subject)} requires",
            severity=subject.refused,
        )


def _unknown(subject: Subject, node_id: str, spec: NodeSpec, name: str, value: Any) -> Iterator[Finding]:
    if name in _BUTTONS and any(each.uploads for each in spec.inputs.values()):
        return
    lost = as_link(value) is not None or nearest(name, spec.inputs)
    yield UNKNOWN_INPUT.at(
        subject.template,
        f"{node_id}.inputs.{name}",
        f"{label_of(subject.graph, node_id)} has an input {name}{did_you_mean(name, spec.inputs)} "
        f"that {_version(subject)} does not know and ignores",
        severity="warning" if lost else "note",
    )


def _value(subject: Subject, node_id: str, name: str, value: Any, spec: InputSpec) -> Iterator[Finding]:
    plain = value["__value__"] if isinstance(value, dict) and set(value) == {"__value__"} else value
    label, version = f"{label_of(subject.graph, node_id)}.{name}", _version(subject)
    where = f"{node_id}.inputs.{name}"
    if spec.type == "COMBO":
        choices = subject.nodes.choices(f"{subject.graph[node_id]['class_type']}.{name}")
        if choices is not None and not spec.multiselect and not _among(plain, choices):
            guess = did_you_mean(plain, [each for each in choices if isinstance(each, str)]) if _text(plain) else ""
            message, remedy = f"{label}: {shown(plain)} is no choice in {version}{guess}", None
            if spec.from_files:
                message = f"{label}: {not_available(plain, choices, files=True)}"
                remedy = f"put the file there, or {NO_CHOICE.remedy}"
            yield NO_CHOICE.at(subject.template, where, message, remedy=remedy, severity=subject.refused)
    elif spec.type in {"INT", "FLOAT"}:
        number = _number(plain, spec.type)
        if number is None:
            message = f"{label}: {shown(plain)} is no {'whole number' if spec.type == 'INT' else 'number'}"
            yield WRONG_VALUE.at(subject.template, where, message, severity=subject.refused)
        elif spec.minimum is not None and number < spec.minimum:
            message = f"{label}: {shown(plain)} is below the least that {version} takes, {shown(spec.minimum)}"
            yield OUT_OF_RANGE.at(subject.template, where, message, severity=subject.refused)
        elif spec.maximum is not None and number > spec.maximum:
            message = f"{label}: {shown(plain)} is above the most that {version} takes, {shown(spec.maximum)}"
            yield OUT_OF_RANGE.at(subject.template, where, message, severity=subject.refused)
    elif not spec.is_value and plain not in (None, "") and _comes_by_link(subject, spec.type):
        message = f"{label}: {shown(plain)} stands where a link of type {spec.type} belongs"
        yield WRONG_VALUE.at(subject.template, where, message)


def _among(value: Any, choices: tuple[Any, ...]) -> bool:
    return not isinstance(value, list | dict) and value in choices


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any, kind: str) -> float | int | None:
    """What ComfyUI makes of a literal; None where it can make nothing of it."""
    try:
        return int(value) if kind == "INT" else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _comes_by_link(subject: Subject, kind: str) -> bool:
    """Whether some node gives that type; others (`LOAD_3D`) are widgets of ComfyUI's editor."""
    wanted = {part.strip() for part in kind.split(",")}
    return any(wanted & set(spec.outputs) for spec in subject.nodes.values())


def _version(subject: Subject) -> str:
    return f"ComfyUI {subject.nodes.version}"
