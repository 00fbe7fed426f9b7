"""ComfyUI's complaints in words for people: refused graphs, and exceptions of nodes.

What `/prompt` answers was measured on ComfyUI 0.3.64 and 0.8.0. A complaint of a node is
`{type, message, details, extra_info: {input_name, input_config, received_value, …}}`; the answer's own
`details` is often empty, and for a cycle there is nothing but the type.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from engine.errors import ExecutionFailed, GraphRejected, NodeComplaint, OutOfMemory
from engine.nodes import choices_of

_QUOTED_PATH = re.compile(r"""(['"])~?(?:[A-Za-z]:)?[/\\](?:[^'"/\\\n]+[/\\]+)+([^'"/\\\n]*)\1""")
_BARE_PATH = re.compile(r"""(?<![\w:/.\\])~?(?:[A-Za-z]:[/\\]|/)(?:[^\s/\\'"<>:,;()]+[/\\]+)+([^\s/\\'"<>:,;()]*)""")
_LONGEST_VALUE = 80
_LONGEST_MESSAGE = 500
_OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|allocation on device", re.IGNORECASE)
_UNKNOWN_CLASS = re.compile(r"Cannot execute because node (?P<class>.+) does not exist")
_NODE_ID = re.compile(r"#(?P<id>[^']+)")


def without_paths(text: str) -> str:
    """The text with every absolute path of a machine shortened to its last part; URLs stay."""
    text = _QUOTED_PATH.sub(r"\1\2\1", text)
    return _BARE_PATH.sub(lambda match: match.group(1) or "…", text)


def first_line(text: str) -> str:
    """The first line that says something, without paths of the machine, at most 500 characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return _short(without_paths(line), _LONGEST_MESSAGE)


def node_complaints(node_errors: Any) -> list[NodeComplaint]:
    """What `/prompt` says of single nodes.

    Args:
        node_errors: `node_errors` of the answer: node id to `{errors, dependent_outputs, class_type}`; an
            empty list where ComfyUI has none.
    """
    if not isinstance(node_errors, Mapping):
        return []
    return [
        NodeComplaint(
            node_id=str(node_id),
            class_type=str(found.get("class_type", "node")),
            input_name=(error.get("extra_info") or {}).get("input_name"),
            type=str(error.get("type", "unknown")),
            message=_message(error),
        )
        for node_id, found in node_errors.items()
        for error in found.get("errors", [])
    ]


def rejection(answer: Any, graph: Mapping[str, Any]) -> GraphRejected:
    """The exception for a 400 of `/prompt`.

    Args:
        answer: the body, parsed; anything where it was not JSON.
        graph: what was sent.
    """
    answer = answer if isinstance(answer, Mapping) else {}
    error = answer.get("error")
    error = error if isinstance(error, Mapping) else {"message": str(error or "")}
    complaints = node_complaints(answer.get("node_errors"))
    if complaints:
        return GraphRejected(complaints=complaints)

    kind, message = str(error.get("type", "")), str(error.get("message") or "")
    details = str(error.get("details") or "")
    if unknown := _UNKNOWN_CLASS.search(message):
        node = _NODE_ID.search(details)
        return GraphRejected(
            complaints=[
                NodeComplaint(
                    node_id=node["id"] if node else "?",
                    class_type=unknown["class"],
                    input_name=None,
                    type="unknown_class",
                    message="this ComfyUI has no such node class",
                )
            ],
            hint="install the node pack it comes from, or a version of ComfyUI that has it",
        )
    if kind == "prompt_no_outputs":
        return GraphRejected(
            "the graph has no output node", hint="end it in a node that saves something, such as SaveImage"
        )
    if kind == "prompt_outputs_failed_validation":
        # A cycle leaves ComfyUI's details and node_errors both empty.
        return GraphRejected(
            "ComfyUI refused the graph and did not say why"
            + (f": {first_line(details)}" if details else f" ({len(graph)} nodes)"),
            hint="the usual reason is a link that leads back to its own node",
        )
    said = ": ".join(dict.fromkeys(first_line(part) for part in (message, details) if part))
    return GraphRejected(f"ComfyUI refused the graph: {said}" if said else "ComfyUI refused the graph")


def execution_failure(error: Mapping[str, Any]) -> ExecutionFailed | OutOfMemory:
    """The exception for an `execution_error` of `/history`.

    Args:
        error: its data. `traceback` goes to the log; `current_inputs`, which can hold secrets, nowhere.
    """
    node = f"{error.get('node_type') or 'node'} ({error.get('node_id')})"
    kind, message = str(error.get("exception_type") or ""), str(error.get("exception_message") or "")
    detail = "".join(map(str, error.get("traceback") or ())) or None
    if kind.endswith(("OutOfMemoryError", "MemoryError")) or _OUT_OF_MEMORY.search(message):
        return OutOfMemory(
            f"{node} ran out of memory",
            hint="ask for a smaller size, fewer frames or a smaller batch, or use a larger GPU",
            detail=detail,
        )
    said = first_line(message) or kind.rpartition(".")[2] or "it did not say why"
    return ExecutionFailed(f"{node} failed: {said}", detail=detail)


def _message(error: Mapping[str, Any]) -> str:
    extra = error.get("extra_info") or {}
    received = _short(repr(extra.get("received_value")), _LONGEST_VALUE)
    declared = extra.get("input_config") or []
    options = declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else {}
    details = str(error.get("details") or "")
    match error.get("type"):
        case "value_smaller_than_min" if "min" in options:
            return f"must be at least {options['min']} (got {received})"
        case "value_bigger_than_max" if "max" in options:
            return f"must be at most {options['max']} (got {received})"
        case "value_not_in_list":
            return f"{received} is not one of its choices" + _nearest(extra.get("received_value"), declared)
        case "invalid_input_type" if declared:
            return f"must be of type {declared[0]} (got {received})"
        case "required_input_missing":
            return "a required input is missing"
        case "return_type_mismatch":
            return "the output linked to it is of another type: " + details.rpartition(", ")[2]
        case "custom_validation_failed":
            return first_line(details.partition(" - ")[2] or details)
        case "bad_linked_input":
            return f"must be a link, a node id and the number of an output (got {received})"
        case "exception_during_validation" | "exception_during_inner_validation":
            return f"ComfyUI could not check it: {extra.get('exception_type', 'error')} {first_line(details)}"
    said = dict.fromkeys(first_line(str(part)) for part in (error.get("message"), details) if part)
    return ": ".join(said) or "ComfyUI refused it"


def _nearest(received: Any, declared: Any) -> str:
    known = choices_of(declared) if declared else None
    choices = [choice for choice in known or () if isinstance(choice, str)]
    near = difflib.get_close_matches(str(received), choices, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return "" if choices else "; it has none"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
