"""ComfyUI's complaints in words for people: refused graphs, outputs it left out, and exceptions of nodes.

What `/prompt` answers was measured on ComfyUI 0.3.64 and 0.8.0, and read in the source of what came after for
`missing_node_type`. The answer's own `details` is often empty, and for a cycle there is nothing but the type.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from engine.comfyui.cleaning import as_json_says, cleaned, first_line, without_secrets
from engine.comfyui.node_complaints import complaint_about, name_in, node_complaints, title_of
from engine.errors import ExecutionFailed, GraphRejected, NodeComplaint, OutOfMemory, Problem, node_name
from engine.graph import find_cycle, needed_by, original_id
from engine.wording import one_line, shorter

UNKNOWN_CLASS = "unknown_class"
"""Our word for the complaint that ComfyUI lacks a node class; it has had two."""

_UNKNOWN_CLASS = re.compile(r"Cannot execute because node (?P<class>.+) does not exist|Node '.*' not found")
_NO_CLASS = re.compile(r"missing the class_type property|has no class_type")
_NODE_ID = re.compile(r"#(?P<id>.+)'\s*$")
_LONGEST_DETAIL = 20_000

_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|not enough memory|unable to allocate|allocation on device|bad_alloc"
    r"|OUT_OF_MEMORY|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
# The errors after which "the process must be terminated and relaunched", as CUDA's runtime API says of each of them
# (cudaError_t 700, 702, 710, 714 to 719), and the uncorrectable memory error (214), in the words of cudaGetErrorString;
# HIP has the same words for the same.
_BREAKS_THE_PROCESS = re.compile(
    r"illegal memory access|device-side assert|misaligned address|an illegal instruction was encountered"
    r"|hardware stack error|invalid program counter|operation not supported on global/shared address space"
    r"|unspecified launch failure|the launch timed out and was terminated"
    r"|uncorrectable ECC error",
    re.IGNORECASE,
)
_GPU_IS_UNFIT = re.compile(r"no kernel image is available|not compatible with the current PyTorch", re.IGNORECASE)


def rejection(answer: Any, graph: Mapping[str, Any]) -> GraphRejected:
    """The exception for a 400 of `/prompt`.

    Args:
        answer: the body, parsed; anything where it was not JSON.
        graph: what was sent.
    """
    answer = answer if isinstance(answer, Mapping) else {}
    error = answer.get("error")
    error = error if isinstance(error, Mapping) else {"message": error}
    if complaints := node_complaints(answer.get("node_errors"), graph):
        return GraphRejected(complaints=complaints)

    kind, message, details = (_text(error.get(key)) for key in ("type", "message", "details"))
    if kind == "missing_node_type" or _UNKNOWN_CLASS.search(message) or _NO_CLASS.search(message):
        return _without_class(error, message, details, graph)
    if kind == "prompt_no_outputs":
        return GraphRejected(
            "the graph has no output node", hint="end it in a node that saves something, such as SaveImage"
        )
    if kind in {"prompt_outputs_failed_validation", "dependency_cycle"} and (cycle := find_cycle(graph)):
        # A cycle leaves ComfyUI's details and node_errors both empty.
        circle = " -> ".join(shorter(node_id, 60) for node_id in cycle[:20])
        return GraphRejected(
            f"the links go round in a circle: {circle}", hint="no node can wait for what it is itself needed for"
        )
    said = ": ".join(dict.fromkeys(as_json_says(first_line(part)) for part in (message, details) if part.strip()))
    return GraphRejected(f"ComfyUI refused the graph: {said}" if said else "ComfyUI refused the graph")


def left_out(node_errors: Any, graph: Mapping[str, Any], needed: Collection[str]) -> GraphRejected | None:
    """The exception for a 200 of `/prompt` whose `node_errors` cost an output that has to come; None if all come.

    Args:
        node_errors: of the answer.
        graph: what was sent.
        needed: the ids of the output nodes that have to come.
    """
    lost = [node_id for node_id in needed if node_id in dropped_outputs(node_errors)]
    if not lost:
        return None
    behind = needed_by(graph, lost)
    complaints = node_complaints(node_errors, graph)
    return GraphRejected(complaints=[each for each in complaints if each.node_id in behind] or complaints)


def dropped_outputs(node_errors: Any) -> set[str]:
    """The ids of the output nodes that ComfyUI left out."""
    found: set[str] = set()
    for about in node_errors.values() if isinstance(node_errors, Mapping) else ():
        outputs = about.get("dependent_outputs") if isinstance(about, Mapping) else None
        found.update(each for each in outputs if isinstance(each, str)) if isinstance(outputs, list) else None
    return found


def execution_failure(
    error: Mapping[str, Any], graph: Mapping[str, Any] | None = None
) -> ExecutionFailed | OutOfMemory:
    """The exception for an `execution_error` of `/history`.

    Args:
        error: its data. `traceback` goes to the log; `current_inputs`, which can hold secrets, nowhere.
        graph: what was queued; it knows the nodes' titles.
    """
    node_id, class_type = (_text(error.get(key)) for key in ("node_id", "node_type"))
    graph = graph or {}
    title, node_id = title_of(graph.get(node_id)), original_id(graph, node_id)
    node = node_name(one_line(class_type, 100) or "node", one_line(node_id, 60) or "?", title)
    kind, message = _text(error.get("exception_type")), _text(error.get("exception_message"))
    traceback = error.get("traceback")
    lines = "".join(map(str, traceback)) if isinstance(traceback, list | tuple) else _text(traceback)
    detail = without_secrets(f"{lines.rstrip()}\n{kind}: {message.strip()}".lstrip("\n")[-_LONGEST_DETAIL:])
    if kind.endswith(("OutOfMemoryError", "MemoryError")) or _OUT_OF_MEMORY.search(message):
        return OutOfMemory(
            f"{node} ran out of memory",
            hint="ask for a smaller size, fewer frames or a smaller batch, or use a larger GPU",
            detail=detail,
        )
    said = first_line(message) or cleaned(kind.rpartition(".")[2], 100) or "it did not say why"
    hint = "PyTorch on this worker does not support its GPU: use another kind of GPU, or another build of PyTorch"
    failed = ExecutionFailed(f"{node} failed: {said}", detail=detail)
    failed.hint = hint if gpu_is_unfit(failed) else None
    return failed


def process_is_broken(error: BaseException) -> bool:
    """Whether every later job would fail in this process of ComfyUI too, so that it has to be started anew.

    So it is after the errors of CUDA that its documentation calls fatal to the process: an illegal memory access, a
    failed assertion on the device, a launch that failed or was timed out, an uncorrectable ECC error and their like.
    Running out of memory is none of them, nor is a GPU that PyTorch does not support: a new process has the same one
    (see `gpu_is_unfit`).

    Args:
        error: what an execution raised.
    """
    return isinstance(error, ExecutionFailed) and bool(_BREAKS_THE_PROCESS.search(_all_of(error)))


def gpu_is_unfit(error: BaseException) -> bool:
    """Whether it failed because PyTorch has no code for this GPU: nothing but another machine helps."""
    return isinstance(error, ExecutionFailed) and bool(_GPU_IS_UNFIT.search(_all_of(error)))


def warnings_of(node_errors: Any, graph: Mapping[str, Any]) -> list[str]:
    """What a job is to know of the outputs that ComfyUI left out of a run that went on without them."""
    outputs = ", ".join(name_in(graph, node_id) for node_id in sorted(dropped_outputs(node_errors))[:20])
    return [
        f"{complaint.where}: {complaint.message}" + (f" (ComfyUI left out {outputs})" if outputs else "")
        for complaint in node_complaints(node_errors, graph)[:20]
    ]


def unknown_class(graph: Mapping[str, Any], node_id: str, class_type: str) -> NodeComplaint:
    """The complaint that this ComfyUI lacks the class of a node; its message says enough without the place."""
    complaint = complaint_about(graph, node_id, kind=UNKNOWN_CLASS, message="", class_type=class_type)
    called = node_name("", complaint.node_id, complaint.title)
    return replace(complaint, message=f"{called} is of class {complaint.class_type}, which this ComfyUI lacks")


def _without_class(error: Mapping[str, Any], message: str, details: str, graph: Mapping[str, Any]) -> GraphRejected:
    extra = error.get("extra_info")
    extra = extra if isinstance(extra, Mapping) else {}
    found = _NODE_ID.search(details)
    node_id = _text(extra.get("node_id")) or (found["id"] if found else "?")
    if _NO_CLASS.search(message):
        return GraphRejected(
            complaints=[complaint_about(graph, node_id, kind="no_class", message="the node has no class_type")]
        )
    said = _UNKNOWN_CLASS.search(message)
    class_type = _text(extra.get("class_type")) or (said["class"] if said else None) or ""
    complaint = unknown_class(graph, node_id, class_type)
    return GraphRejected(
        complaints=[complaint],
        problems=[Problem("", complaint.message)],
        hint="install the node pack it comes from, or a version of ComfyUI that has it",
    )


def _all_of(error: ExecutionFailed) -> str:
    return f"{error.message}\n{error.detail or ''}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
