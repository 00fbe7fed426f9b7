"""The request: what a RunPod job's `input` holds, and the body of the local API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.documents import parse_json
from engine.errors import InvalidMap, InvalidRequest, Problem
from engine.map_file import join_path
from engine.storage import DeliveryRequest
from engine.wording import did_you_mean, kind_of, listed, shown

Action = Literal["run", "list", "describe", "render", "health"]

EXAMPLE = 'a request is {"workflow": "txt2img", "payload": {"prompt": "a lighthouse"}}; {"action": "list"} names all'


class Request(BaseModel):
    """A request; unknown keys are refused.

    Attributes:
        action: what to do.
        workflow: a workflow's name; where the operator allows it, a whole graph, as an object or a JSON text.
        payload: the parameters' values.
        timeout_seconds: from the start of the execution; never above the operator's bound.
        retries: how often a result that the workflow's quality gates refuse may be made anew; never above the map's.
        progress: whether progress is told.
        previews: whether what preview nodes made is a result too.
        delivery: how the results are wanted.
        s3_config: the caller's own bucket, in RunPod's words.
        version_id: the environment that it is to run in; the worker's own by default.
        images: files sent along: `[{"name": …, "image": …}]`.
        input_images: files sent along: `{name: URL}`.
        workflow_url: where a whole graph is.
        output_mode: where results go, in the words of other workers.
        gcs_bucket: likewise.
        gcs_prefix: likewise.
        comfy_org_api_key: the caller's own, for nodes that call comfy.org.
        verbose: add our own result to a reply in another worker's shape.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True, populate_by_name=True)

    action: Action = "run"
    workflow: Any = Field(None, repr=False)
    payload: Any = Field(default_factory=dict, repr=False)
    timeout_seconds: float | None = Field(None, gt=0)
    retries: int | None = Field(None, ge=0, le=10)
    progress: bool = True
    previews: bool = False
    delivery: DeliveryRequest | None = None
    s3_config: dict[str, Any] | None = Field(None, alias="s3Config", repr=False)
    version_id: str | None = Field(None, min_length=1)
    images: Any = Field(None, repr=False)
    input_images: Any = Field(None, repr=False)
    workflow_url: str | None = Field(None, min_length=1, repr=False)
    output_mode: str | None = None
    gcs_bucket: str | None = None
    gcs_prefix: str | None = None
    comfy_org_api_key: str | None = Field(None, min_length=1, repr=False)
    verbose: bool = False


_OTHER_NAMES = {"api_key_comfy_org": "comfy_org_api_key"}
"""Keys under other workers' names: worker-comfyui's docs/configuration.md (5.8.5) has ComfyUI's own name for the key,
while its README and handler.py have ours."""

_KEYS = [field.alias or name for name, field in Request.model_fields.items()]
_UNSHOWN = frozenset({"s3Config", "comfy_org_api_key", "workflow_url", "images", "input_images"})


def unpacked(document: Any) -> Any:
    """A job's input, also where it is sent as its JSON in a text, as worker-comfyui takes it (5.8.5, handler.py).

    Raises:
        InvalidRequest: the text is no JSON.
    """
    if not isinstance(document, str):
        return document
    try:
        return parse_json(document.removeprefix("\ufeff"), label="the input")
    except InvalidMap as error:
        problems = "; ".join(each.message for each in error.problems)
        raise InvalidRequest(
            f"the input is a text, which must be the JSON of an object: {problems}", hint=EXAMPLE
        ) from None


def parse_request(document: Any, *, s3_config: Any = None) -> Request:
    """The request in a job's input.

    Args:
        document: the input.
        s3_config: what stood beside the input in the job, where RunPod's own requests have it; the input's own
            comes first.

    Raises:
        InvalidRequest: it is none; with every problem.
    """
    if not isinstance(document, dict):
        raise InvalidRequest(f"the input must be an object (got {kind_of(document)})", hint=EXAMPLE)
    if s3_config is not None:
        document = {"s3Config": s3_config, **document}
    document, problems = _renamed(document)
    problems += [
        Problem(key, f"unknown key{did_you_mean(key, _KEYS)}; the keys are: {listed(_KEYS)}")
        for key in document
        if key not in _KEYS
    ]
    try:
        request = Request.model_validate({key: value for key, value in document.items() if key in _KEYS})
    except ValidationError as error:
        problems += [_problem(item) for item in error.errors(include_url=False)]
    else:
        problems += _workflow_problems(request)
    if problems:
        raise InvalidRequest(problems=problems, hint=EXAMPLE)
    return request


def _renamed(document: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The request under our names, and what is there twice."""
    problems = [
        Problem(key, f"is another name for {ours}, which is there as well; send one of the two")
        for key, ours in _OTHER_NAMES.items()
        if key in document and ours in document
    ]
    renamed = {_OTHER_NAMES.get(key, key): value for key, value in document.items()}
    if renamed.get("comfy_org_api_key") == "":
        del renamed["comfy_org_api_key"]  # who has none sends it empty; worker-comfyui takes that for none
    return renamed, problems


def _workflow_problems(request: Request) -> list[Problem]:
    if request.action not in {"run", "describe", "render"}:
        return []
    if request.workflow is not None and request.workflow_url is not None:
        return [Problem("workflow_url", "a request has either a workflow or a workflow_url")]
    if request.workflow is None and request.workflow_url is None:
        return [Problem("workflow", "is missing: the name of one")]
    if not isinstance(request.workflow, str | dict | None):
        return [Problem("workflow", f"must be a name, or a graph as an object (got {kind_of(request.workflow)})")]
    if request.action != "run" and not isinstance(request.workflow, str):
        return [Problem("workflow", f'must be a name for "{request.action}"')]
    return []


def _problem(item: Mapping[str, Any]) -> Problem:
    location: Sequence[int | str] = item["loc"]
    where = join_path(location)
    if item["type"] == "extra_forbidden":
        known = list(DeliveryRequest.model_fields)
        return Problem(where, f"unknown key{did_you_mean(str(location[-1]), known)}; the keys are: {listed(known)}")
    message = item["msg"].replace("Input should", "must", 1).replace("String should", "must", 1)
    if location[0] in _UNSHOWN:
        return Problem(where, message)
    return Problem(where, f"{message} (got {shown(item['input'])})")
