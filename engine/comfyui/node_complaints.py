"""What ComfyUI has against single nodes of a graph, in words for people.

Read off ComfyUI 0.3.64 and 0.8.0: `node_errors` is node id to `{errors, dependent_outputs, class_type}`, and an error
is `{type, message, details, extra_info: {input_name, input_config, received_value, …}}`. Of a list of more than 20
choices `input_config` is null. Whatever has another shape is read as far as it goes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.comfyui.cleaning import as_json_says, cleaned
from engine.errors import NodeComplaint, node_name
from engine.graph import original_id
from engine.nodes import choices_of, is_list_of_files
from engine.wording import not_available, one_line, shorter, shown

MOST_COMPLAINTS = 200

_MISSING_FILE = re.compile(r"Invalid \w+ file: (?P<file>.+)")
_WANTED = {"INT": "a whole number", "FLOAT": "a number", "STRING": "a text", "BOOLEAN": "true or false"}
_BOUNDS = {
    "value_smaller_than_min": ("min", "must be at least {} (got {})"),
    "value_bigger_than_max": ("max", "must be at most {} (got {})"),
}
_STUMBLED = frozenset({"exception_during_validation", "exception_during_inner_validation"})


def complaint_about(
    graph: Mapping[str, Any],
    node_id: Any,
    *,
    kind: str,
    message: str,
    input_name: Any = None,
    class_type: Any = None,
    received: Any = None,
) -> NodeComplaint:
    """A complaint about a node, with the class and the title that the graph gives it."""
    node = _mapping(graph.get(node_id) if isinstance(node_id, str) else None)
    found = node.get("class_type", class_type)
    return NodeComplaint(
        node_id=node_id if node else one_line(str(node_id), 60),
        class_type=one_line(found, 100) if isinstance(found, str) else "",
        input_name=input_name if isinstance(input_name, str) and input_name in _inputs(node) else _named(input_name),
        type=one_line(kind, 60),
        message=message,
        title=title_of(node),
        received=received,
        original=one_line(original, 60) if (original := original_id(graph, str(node_id))) != node_id else "",
    )


def node_complaints(node_errors: Any, graph: Mapping[str, Any]) -> list[NodeComplaint]:
    """What `/prompt` says of single nodes, at most 200 things, each once.

    Args:
        node_errors: of the answer; an empty list where ComfyUI has none.
        graph: what was sent.
    """
    found = itertools.islice(_complaints(node_errors, graph), MOST_COMPLAINTS)
    return list({(each.where, each.message): each for each in found}.values())


def title_of(node: Any) -> str | None:
    """The title of a node in ComfyUI's editor, in one line, where the graph has it."""
    title = _mapping(_mapping(node).get("_meta")).get("title")
    return cleaned(title, 60) or None if isinstance(title, str) else None


def name_in(graph: Mapping[str, Any], node_id: str) -> str:
    """How messages call a node of the graph: `KSampler "Second pass" (12)`."""
    node = _mapping(graph.get(node_id))
    class_type = node.get("class_type")
    return node_name(
        one_line(class_type, 100) if isinstance(class_type, str) else "",
        one_line(original_id(graph, node_id), 60),
        title_of(node),
    )


def _complaints(node_errors: Any, graph: Mapping[str, Any]) -> Iterator[NodeComplaint]:
    for node_id, about in _mapping(node_errors).items():
        errors = _mapping(about).get("errors")
        for error in map(_mapping, errors if isinstance(errors, list) else ()):
            kind, extra = str(error.get("type") or "unknown"), _mapping(error.get("extra_info"))
            named = extra.get("input_name")
            if kind in _STUMBLED:
                # The input is one of the node that is linked to this one.
                named, message = _stumbled(_mapping(graph.get(node_id)), graph, error, extra)
            else:
                message = _message(kind, _mapping(about).get("class_type"), error, extra, graph)
            yield complaint_about(
                graph,
                node_id,
                kind=kind,
                message=message,
                input_name=named,
                class_type=_mapping(about).get("class_type"),
                received=extra.get("received_value"),
            )


def _message(
    kind: str,
    class_type: Any,
    error: Mapping[str, Any],
    extra: Mapping[str, Any],
    graph: Mapping[str, Any],
) -> str:
    declared = extra.get("input_config")
    declared = declared if isinstance(declared, list | tuple) and declared else []
    options = _mapping(declared[1]) if len(declared) > 1 else {}
    received, details = extra.get("received_value"), _text(error.get("details"))
    if kind in _BOUNDS and _BOUNDS[kind][0] in options:
        bound, words = _BOUNDS[kind]
        return words.format(shown(options[bound]), value_shown(received))
    match kind:
        case "value_not_in_list":
            return _not_in_list(class_type, extra.get("input_name"), declared, received)
        case "invalid_input_type":
            wanted = declared[0] if declared and isinstance(declared[0], str) else "another type"
            return f"must be {_WANTED.get(wanted, shorter(wanted, 60))} (got {value_shown(received)})"
        case "required_input_missing":
            return "is required, and the graph has nothing for it"
        case "return_type_mismatch":
            return _mismatch(declared, extra, graph)
        case "bad_linked_input":
            return f"must be a link, the id of a node and the number of an output (got {value_shown(received)})"
        case "custom_validation_failed":
            return _custom(details)
    said = dict.fromkeys(as_json_says(cleaned(_text(part))) for part in (error.get("message"), error.get("details")))
    return shorter(": ".join(part for part in said if part), 500) or "ComfyUI refused it"


def _not_in_list(class_type: Any, name: Any, declared: Any, received: Any) -> str:
    if not declared:  # more than 20: ComfyUI does not say which
        return f"{value_shown(received)} is not available"
    try:
        choices = choices_of(declared) or ()
        files = is_list_of_files(str(class_type), str(name), declared)
    except (TypeError, KeyError, AttributeError):  # not as ComfyUI declares anything
        choices, files = (), False
    return not_available(_brief(received), choices, files=files)


def _mismatch(declared: Any, extra: Mapping[str, Any], graph: Mapping[str, Any]) -> str:
    wanted = f"takes {shorter(_type_text(declared[0]), 60)}" if declared else "takes another type"
    given = shorter(_type_text(extra.get("received_type")), 60)
    link = extra.get("linked_node")
    if isinstance(link, list) and len(link) == 2:
        return (
            f"{wanted}, but is linked to output {shown(link[1])} of {name_in(graph, str(link[0]))}, which gives {given}"
        )
    return f"{wanted}, but what is linked to it gives {given}"


def _custom(details: str) -> str:
    said = details.partition(" - ")[2]
    if missing := _MISSING_FILE.fullmatch(said.strip()):
        return f"{shown(missing['file'])} is not on this worker"
    return as_json_says(cleaned(said)) or "its node does not accept the value"


def _stumbled(
    node: Mapping[str, Any], graph: Mapping[str, Any], error: Mapping[str, Any], extra: Mapping[str, Any]
) -> tuple[str | None, str]:
    """The input and the reason why ComfyUI's validator itself broke: mostly a link that leads nowhere."""
    kind, details = _text(extra.get("exception_type")), as_json_says(cleaned(_text(error.get("details")), 200))
    if node and not isinstance(node.get("inputs"), Mapping):
        return None, 'the node has no "inputs"'
    links = [(name, value) for name, value in _inputs(node).items() if isinstance(value, list) and len(value) == 2]
    if kind == "KeyError":
        for name, (source, _) in links:
            if not isinstance(source, str) or source not in graph:
                return name, f"is linked to node {shown(source)}, which the graph does not have"
    numbered = [(index, name, source) for name, (source, index) in links if isinstance(index, int)]
    if kind == "IndexError" and numbered:
        # ComfyUI does not say which; where several are linked, the highest number is the likeliest.
        index, name, source = max(numbered, key=lambda each: each[0])
        others = [each for each in numbered if each[0] == index]
        if len(others) == 1:
            return name, f"is linked to output {index} of {name_in(graph, str(source))}, which has no such output"
        return None, "one of its links leads to an output that does not exist"
    said = ": ".join(part for part in (cleaned(kind.rpartition(".")[2], 60), details) if part)
    return None, f"ComfyUI could not check it: {said or 'it does not say why'}"


def value_shown(value: Any) -> str:
    """A value for a message, as JSON; what is long is told by its length, since it may be a file as base64."""
    return shown(_brief(value))


def _brief(value: Any) -> Any:
    if isinstance(value, str) and (len(value) > 200 or value.startswith("data:")):
        return f"{'data:' if value.startswith('data:') else value[:20]}… {len(value)} characters"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _type_text(kind: Any) -> str:
    return kind if isinstance(kind, str) else "a choice" if isinstance(kind, list) else "another type"


def _named(name: Any) -> str | None:
    return one_line(name, 100) if isinstance(name, str) and name else None


def _inputs(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(node.get("inputs"))


def _text(value: Any) -> str:
    return value[:5000] if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
