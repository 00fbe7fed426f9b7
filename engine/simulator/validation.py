"""What `POST /prompt` finds wrong with a graph, in ComfyUI's own terms.

Read off the answers of 0.3.64 and 0.8.0: of all nodes the class is looked at, of those that the outputs need
everything; values are converted in place, so that history shows `256` where `"256"` was sent; an invalid
output is dropped and the rest runs.

One thing is ours: inputs are looked at in the order of their declaration; ComfyUI's order changes from run to
run.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.simulator.classes import Classes, declared_inputs, is_output, is_second_style
from engine.simulator.folders import Folders

Problem = dict[str, Any]

_CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
_ANYTHING = frozenset({"*", "COMFY_MATCHTYPE_V3"})

# Classes whose own check takes these inputs over: neither bounds nor choices are looked at then (0.8.0).
_FILES_CHECKED: Mapping[str, tuple[str, str]] = {
    "LoadImage": ("image", "Invalid image file: {}"),
    "LoadImageMask": ("image", "Invalid image file: {}"),
    "LoadImageOutput": ("image", "Invalid image file: {}"),
    "LoadLatent": ("latent", "Invalid latent file: {}"),
    "LoadAudio": ("audio", "Invalid audio file: {}"),
    "LoadVideo": ("file", "Invalid video file: {}"),
}
_UNCHECKED: Mapping[str, str] = {"CustomCombo": "choice"}

# What a malformed graph makes ComfyUI's validator stumble over; it reports the exception as the problem.
_STUMBLES = (KeyError, IndexError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: the outputs that can run, the error of a refusal, and what is wrong with which node."""

    outputs: list[str]
    error: Problem | None = None
    node_errors: dict[str, Any] = field(default_factory=dict)


def validate_prompt(prompt: Any, classes: Classes, folders: Folders, targets: Collection[str] | None = None) -> Verdict:
    """Validate a graph; its values are converted in place.

    Args:
        prompt: whatever was sent as `prompt`.
        classes: the node classes there are.
        folders: where LoadImage looks.
        targets: `partial_execution_targets`: of the output nodes, only these.

    Raises:
        TypeError, KeyError, AttributeError: it is no graph at all; ComfyUI's server answers that with a 500.
    """
    outputs = []
    for node_id in prompt:
        node = prompt[node_id]
        if "class_type" not in node:
            return _refused(node_id, "Cannot execute because a node is missing the class_type property.")
        class_type = node["class_type"]
        if class_type not in classes:
            return _refused(node_id, f"Cannot execute because node {class_type} does not exist.")
        if is_output(classes.describe(class_type)) and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict([], _error("prompt_no_outputs", "Prompt has no outputs", ""))

    checker = _Checker(prompt, classes, folders)
    good, bad = [], []
    node_errors: dict[str, Any] = {}
    for output in outputs:
        try:
            valid = checker.check(output)
        except _STUMBLES as error:
            checker.problems[output] = [
                _problem(
                    "exception_during_validation",
                    "Exception when validating node",
                    str(error),
                    exception_type=_type_name(error),
                    traceback=traceback.format_tb(error.__traceback__),
                )
            ]
            valid = False
        if valid:
            good.append(output)
            continue
        bad += checker.problems[output]
        for node_id, problems in checker.problems.items():
            if problems:
                entry = node_errors.setdefault(
                    node_id,
                    {
                        "errors": problems,
                        "dependent_outputs": [],
                        "class_type": prompt[node_id]["class_type"],
                    },
                )
                entry["dependent_outputs"].append(output)
    if good:
        return Verdict(good, None, node_errors)
    details = "\n".join(f"{problem['message']}: {problem['details']}" for problem in bad)
    message = "Prompt outputs failed validation"
    return Verdict([], _error("prompt_outputs_failed_validation", message, details), node_errors)


class _Checker:
    """Checks nodes and what they are linked to, each once.

    `problems` holds, for every node that is done, its own problems: a node can be invalid without any, when
    it is something upstream that is wrong.
    """

    def __init__(self, prompt: Mapping[str, Any], classes: Classes, folders: Folders) -> None:
        self.problems: dict[str, list[Problem]] = {}
        self._valid: dict[str, bool] = {}
        self._prompt, self._classes, self._folders = prompt, classes, folders

    def check(self, node_id: str) -> bool:
        if node_id in self._valid:
            return self._valid[node_id]
        inputs = self._prompt[node_id]["inputs"]
        if not isinstance(inputs, dict):
            raise TypeError("inputs must be an object")
        class_type = self._prompt[node_id]["class_type"]
        description = self._classes.describe(class_type)
        # Whoever comes back here went round a circle: invalid without a word, as ComfyUI's recursion ends.
        self._valid[node_id] = False
        problems: list[Problem] = []
        upstream = True
        for name, section, kind, options in declared_inputs(description, inputs):
            if name not in inputs:
                if section == "required":
                    shown = name.split(".")[-1] if is_second_style(description) else name
                    problems.append(
                        _problem("required_input_missing", "Required input is missing", shown, input_name=name)
                    )
            elif isinstance(inputs[name], list):
                problem, valid = self._check_link(node_id, name, kind, options)
                problems += problem
                upstream = upstream and valid
            else:
                problems += self._check_value(class_type, name, kind, options, inputs)
        problems += self._check_file(class_type, inputs)
        self.problems[node_id] = problems
        self._valid[node_id] = upstream and not problems
        return self._valid[node_id]

    def _check_link(self, node_id: str, name: str, kind: Any, options: Mapping[str, Any]) -> tuple[list[Problem], bool]:
        """The input's own problems, and whether what it is linked to is valid."""
        link = self._prompt[node_id]["inputs"][name]
        about = {"input_name": name, "input_config": [kind, options]}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return [_problem("bad_linked_input", message, name, **about, received_value=link)], True
        source = self._prompt[link[0]]
        received = self._output_type(source["class_type"], link[1])
        switch = self._prompt[node_id]["class_type"] == "ComfySwitchNode"  # checks its types by itself
        if not switch and not _types_fit(received, kind):
            details = f"{name}, received_type({received}) mismatch input_type({kind})"
            message = "Return type mismatch between linked nodes"
            more = {**about, "received_type": received, "linked_node": link}
            return [_problem("return_type_mismatch", message, details, **more)], True
        try:
            return [], self.check(link[0])
        except _STUMBLES as error:
            self._valid[link[0]] = False
            self.problems[link[0]] = [
                _problem(
                    "exception_during_inner_validation",
                    "Exception when validating inner node",
                    str(error),
                    **about,
                    exception_message=str(error),
                    exception_type=_type_name(error),
                    traceback=traceback.format_tb(error.__traceback__),
                    linked_node=link,
                )
            ]
            return [], False

    def _output_type(self, class_type: str, slot: Any) -> Any:
        description = self._classes.describe(class_type)
        types = description["output"] or []
        # The kind of sequence shows in the message: "tuple index out of range".
        return types[slot] if is_second_style(description) else tuple(types)[slot]

    def _check_value(
        self, class_type: str, name: str, kind: Any, options: Mapping[str, Any], inputs: dict[str, Any]
    ) -> list[Problem]:
        value = inputs[name]
        about = {"input_name": name, "input_config": [kind, options]}
        try:
            if isinstance(value, dict) and "__value__" in value:
                inputs[name] = value = value["__value__"]
            if isinstance(kind, str) and kind in _CONVERSIONS:
                inputs[name] = value = _CONVERSIONS[kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            message = f"Failed to convert an input value to a {kind} value"
            more = {**about, "received_value": value, "exception_message": str(error)}
            return [_problem("invalid_input_type", message, f"{name}, {value}, {error}", **more)]
        if name in (_FILES_CHECKED.get(class_type, ("",))[0], _UNCHECKED.get(class_type)):
            return []
        if "min" in options and value < options["min"]:
            message = f"Value {value} smaller than min of {options['min']}"
            return [_problem("value_smaller_than_min", message, name, **about, received_value=value)]
        if "max" in options and value > options["max"]:
            message = f"Value {value} bigger than max of {options['max']}"
            return [_problem("value_bigger_than_max", message, name, **about, received_value=value)]
        return _check_choice(name, kind, options, value)

    def _check_file(self, class_type: str, inputs: Mapping[str, Any]) -> list[Problem]:
        name, message = _FILES_CHECKED.get(class_type, ("", ""))
        value = inputs.get(name)
        if not name or name not in inputs or isinstance(value, list):
            return []
        if isinstance(value, str) and self._folders.input_file(value).exists():
            return []
        details = f"{name} - {message.format(value)}"
        return [_problem("custom_validation_failed", "Custom validation failed for node", details, input_name=name)]


def _check_choice(name: str, kind: Any, options: Mapping[str, Any], value: Any) -> list[Problem]:
    if isinstance(kind, list):
        choices = kind
    elif kind == "COMBO":
        choices = options.get("options", [])
    else:
        return []
    if value in choices:
        return []
    few = len(choices) <= 20
    listed = str(choices) if few else f"(list of length {len(choices)})"
    return [
        _problem(
            "value_not_in_list",
            "Value not in list",
            f"{name}: '{value}' not in {listed}",
            input_name=name,
            input_config=[kind, options] if few else None,
            received_value=value,
        )
    ]


def _types_fit(received: Any, wanted: Any) -> bool:
    if received == wanted or (isinstance(received, list) and wanted == "COMBO"):
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return received in _ANYTHING if isinstance(received, str) else wanted in _ANYTHING
    ours, theirs = ({part.strip() for part in kinds.split(",")} for kinds in (received, wanted))
    return bool(ours & theirs or _ANYTHING & (ours | theirs))


def _problem(kind: str, message: str, details: str, **extra: Any) -> Problem:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _error(kind: str, message: str, details: str) -> Problem:
    return _problem(kind, message, details)


def _refused(node_id: str, message: str) -> Verdict:
    return Verdict([], _error("invalid_prompt", message, f"Node ID '#{node_id}'"))


def _type_name(error: BaseException) -> str:
    """The exception's type as ComfyUI writes it: builtins bare, others with their module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
