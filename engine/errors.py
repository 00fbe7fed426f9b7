"""Every error the engine raises. Imports nothing.

```
EngineError
├ RequestError          the caller must change something
│ ├ InvalidRequest
│ ├ UnknownWorkflow
│ ├ InvalidPayload
│ ├ InputUnavailable
│ ├ InputRejected
│ └ ResultTooLarge
├ WorkflowError         an author must change something
│ ├ InvalidMap
│ ├ BindingNotFound
│ ├ RenderFailed
│ └ WorkflowNotReady
├ ComfyError
│ ├ ComfyUnavailable
│ │ └ EnvironmentUnverified
│ ├ GraphRejected
│ ├ ExecutionFailed
│ ├ OutOfMemory
│ ├ ExecutionTimeout
│ ├ Cancelled
│ └ NoOutputs
├ QualityRejected
├ StorageError
└ SettingsError
```

A message is for the person who can act on it: what was wrong, where, what is allowed. The `hint` says what
to do. `detail` is for the log alone and never reaches a caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

MOST_PROBLEMS = 100
"""More than anyone reads at once; a reply over the platform's limit (10 MB) would be lost."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: the parameter of the payload (`steps`, `loras[0].strength`), the key of a parameter map
            (`parameters.steps.bind`) or the key of a request (`delivery.mode`); empty for the whole.
        message: what is wrong with it and what is allowed.
        file: the file it is in, for problems of an author.
    """

    where: str
    message: str
    file: str | None = None

    def __str__(self) -> str:
        """`file: where: message`, without the parts that are empty."""
        return ": ".join(part for part in (self.file, self.where, self.message) if part)


class EngineError(Exception):
    """The root of everything the engine raises on purpose.

    Args:
        message: what was wrong; left out, the problems say it.
        hint: what to do about it.
        problems: all that is wrong, where there can be several things.
        detail: for the log only (ComfyUI's traceback, a path of the worker).
        retryable: whether the same job can go well later; left out, what the class says.
    """

    code: ClassVar[str] = "internal_error"
    retryable: bool = False
    meaning: ClassVar[str] = "something went wrong inside the engine; the log has the job's id and the cause"

    def __init__(
        self,
        message: str = "",
        *,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
        detail: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        if retryable is not None:
            self.retryable = retryable
        found = tuple(problems)
        more = len(found) - MOST_PROBLEMS
        self.problems = (*found[:MOST_PROBLEMS], Problem("", f"and {more} more problems")) if more > 0 else found
        self.message = message or "; ".join(map(str, self.problems)) or self.meaning
        self.hint = hint
        self.detail = detail
        super().__init__(self.message)

    def failure(self) -> dict[str, Any]:
        """The structured form that callers get: code, message, hint, retryable, problems."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
            "problems": [{"parameter": p.where, "message": p.message} for p in self.problems],
        }


def file_trouble(error: OSError) -> EngineError:
    """What the operating system refused, where nobody nearer knows more of it: the file, and the system's words."""
    what = error.strerror or str(error)
    return EngineError(
        f"{error.filename}: {what}" if error.filename else what,
        hint="check the path, and that what it lies on is mounted, has room and may be used",
    )


class RequestError(EngineError):
    """The caller must change something."""


class InvalidRequest(RequestError):
    """The request is not of the form that the contract says."""

    code = "invalid_request"
    meaning = "the request itself is malformed: a wrong or missing key, not JSON, an action that does not exist"


class UsageError(InvalidRequest):
    """A command was called wrongly: exit status 2. A caller never meets it, so it has the code of its parent."""


class UnknownWorkflow(RequestError):
    """No workflow of that name.

    Args:
        name: the name asked for.
        known: the names there are.
        nearest: the known names most like it, best first.
    """

    code = "unknown_workflow"
    meaning = "no workflow has that name"

    def __init__(self, name: str, *, known: Iterable[str], nearest: Iterable[str] = ()) -> None:
        names, near = sorted(known), list(nearest)
        shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
        super().__init__(
            f'unknown workflow "{name}"' + (f'; did you mean "{near[0]}"?' if near else ""),
            hint=f"the workflows are: {shown}" if names else "there is no workflow yet",
        )


class InvalidPayload(RequestError):
    """The payload does not fit the workflow's parameters."""

    code = "invalid_payload"
    meaning = "the payload does not fit the workflow's parameters; every problem is listed"


class InputUnavailable(RequestError):
    """A file that the payload names can't be had."""

    code = "input_unavailable"
    meaning = "a file that the payload refers to could not be read"


class InputRejected(RequestError):
    """A file, or the way it is named, is not what the parameter takes."""

    code = "input_rejected"
    meaning = "a file, or the way it is referred to, is not what the parameter takes"


class ResultTooLarge(RequestError):
    """The result does not fit the way it is to be delivered."""

    code = "result_too_large"
    meaning = "the result is larger than the delivery allows; a bucket has no such limit"


class WorkflowError(EngineError):
    """An author must change something; one broken workflow never stops the others."""


class InvalidMap(WorkflowError):
    """The parameter map, or the template under it, is wrong."""

    code = "invalid_map"
    meaning = "the workflow's parameter map or template is wrong; `engine check` says where"


class BindingNotFound(WorkflowError):
    """A path of the map matches no place in the template, or not the one it should."""

    code = "binding_not_found"
    meaning = "a path in the parameter map does not lead to a place in the template"


class RenderFailed(WorkflowError):
    """An expression failed or gave what its place does not take, or what switches leave is no graph that can run."""

    code = "render_failed"
    meaning = (
        "the payload was valid, but an expression of the workflow failed for it, or its switches left no whole graph"
    )


class WorkflowNotReady(WorkflowError):
    """Models or nodes that the workflow needs are missing."""

    code = "workflow_not_ready"
    meaning = "models or nodes that the workflow needs are missing on this worker"


class ComfyError(EngineError):
    """ComfyUI did not do what it should."""


class ComfyUnavailable(ComfyError):
    """ComfyUI does not answer, or stopped."""

    code = "comfy_unavailable"
    retryable = True
    meaning = "ComfyUI does not answer, did not start, or stopped while it ran the job"


class EnvironmentUnverified(ComfyUnavailable):
    """An environment of the worker is not what its lock says, has none, or can't be read: it is not started."""

    code = "environment_unverified"
    retryable = False
    meaning = "the environment that `version_id` or VERSION_ID names is not what its lock says, or can't be read"


def node_name(class_type: str, node_id: str, title: str | None = None) -> str:
    """How messages call a node: `KSampler "Second pass" (12)`, without a title that says no more than the class."""
    if not class_type:
        return f'node "{title}" ({node_id})' if title else f"node {node_id}"
    return f'{class_type} "{title}" ({node_id})' if title and title != class_type else f"{class_type} ({node_id})"


@dataclass(frozen=True, slots=True)
class NodeComplaint:
    """One thing ComfyUI has against one node of a graph, so that it can be traced back to a parameter.

    Attributes:
        node_id: of the rendered graph.
        class_type: the node's class; empty where it has none.
        input_name: the input it is about; None for the node as a whole.
        type: ComfyUI's word for it (`value_bigger_than_max`).
        message: what is wrong, for people.
        title: the node's title in the graph, where it has one.
        received: the value that stood in the input.
        original: the node of the template that it is a copy of; empty where it is none.
    """

    node_id: str
    class_type: str
    input_name: str | None
    type: str
    message: str
    title: str | None = None
    received: Any = field(default=None, repr=False)
    original: str = ""

    @property
    def where(self) -> str:
        """`KSampler "Second pass" (12).steps`."""
        name = node_name(self.class_type, self.original or self.node_id, self.title)
        return name + (f".{self.input_name}" if self.input_name else "")


class GraphRejected(ComfyError):
    """ComfyUI refused the rendered graph.

    Args:
        message: what was wrong; left out, the complaints say it.
        complaints: what ComfyUI has against single nodes.
        problems: the complaints in other words; left out, each complaint is a problem.
        hint: what to do about it.
        detail: for the log only.
        retryable: whether the same job can go well later; left out, it can't.
    """

    code = "graph_rejected"
    meaning = "ComfyUI refused the graph; what it says of a parameter is reported under that parameter"

    def __init__(
        self,
        message: str = "",
        *,
        complaints: Iterable[NodeComplaint] = (),
        problems: Iterable[Problem] = (),
        hint: str | None = None,
        detail: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        self.complaints = tuple(complaints)
        problems = tuple(problems) or [Problem(each.where, each.message) for each in self.complaints]
        super().__init__(message, hint=hint, problems=problems, detail=detail, retryable=retryable)


class ExecutionFailed(ComfyError):
    """A node raised."""

    code = "execution_failed"
    meaning = "a node of the graph failed while it ran"


class OutOfMemory(ComfyError):
    """A node ran out of memory."""

    code = "out_of_memory"
    retryable = True
    meaning = "the GPU or the machine ran out of memory"


class ExecutionTimeout(ComfyError):
    """The deadline passed."""

    code = "execution_timeout"
    retryable = True
    meaning = "the job did not finish within its time"


class Cancelled(ComfyError):
    """The job was cancelled."""

    code = "cancelled"
    meaning = "the job was cancelled"


class NoOutputs(ComfyError):
    """The graph ran and made none of the outputs that the workflow declares."""

    code = "no_outputs"
    meaning = "the graph ran, but made no file of those that the workflow declares"


class QualityRejected(EngineError):
    """A quality gate refused the result."""

    code = "quality_rejected"
    retryable = True
    meaning = "a quality check of the workflow refused the result"


class StorageError(EngineError):
    """The result could not be stored.

    Attributes:
        results_kept: the results are safe on this machine and will be delivered; nobody else need keep them.
    """

    results_kept: bool = False
    code = "storage_error"
    retryable = True
    meaning = "the result was made, but could not be stored"


class SettingsError(EngineError):
    """An environment variable is wrong or missing."""

    code = "invalid_settings"
    meaning = "an environment variable of the worker is wrong or missing"


def error_classes() -> list[type[EngineError]]:
    """Every concrete error class, the root first, then in the order of the tree."""

    def below(cls: type[EngineError]) -> Iterable[type[EngineError]]:
        for child in cls.__subclasses__():
            if "code" in vars(child):
                yield child
            yield from below(child)

    return [EngineError, *below(EngineError)]
