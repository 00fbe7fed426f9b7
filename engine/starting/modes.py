"""What a container is to do: take RunPod's jobs, serve the local API, or run one command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from engine import is_true
from engine.command_options import last_value
from engine.errors import UsageError
from engine.wording import nearest, shown

Mode = Literal["serverless", "serve", "cli"]

_ONE_JOB, _OWN_SERVER = "--test_input", "--rp_serve_api"
_OF_THE_SDK = (_ONE_JOB, _OWN_SERVER)
_QUEUE = "RUNPOD_WEBHOOK_GET_JOB"
_JOB_HINT = """such as --test_input '{"input": {"action": "list"}}'"""
_HINT = (
    "say which: serverless (take RunPod's jobs), serve (the local API), cli COMMAND (such as: cli list), "
    "or --test_input '{\"input\": …}' for one job"
)


class Choice(NamedTuple):
    """What to do.

    Attributes:
        mode: `serverless` also where the SDK is told to run one job, or its own server.
        arguments: what is left of the command line: those of the SDK, or of `engine` for `cli`.
        reason: what the choice follows from, for people.
    """

    mode: Mode
    arguments: tuple[str, ...]
    reason: str


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Choice:
    """The mode: the first argument, else RUNPOD_SERVERLESS or SERVE_API_LOCALLY, else what RunPod tells of the place.

    RunPod sets `RUNPOD_WEBHOOK_GET_JOB` and `RUNPOD_ENDPOINT_ID` for a serverless worker, `RUNPOD_POD_ID` for that and
    for a Pod (runpod 1.12, rp_job.py, and its page of a Pod's environment variables).

    Args:
        arguments: of the command line, without the program's name.
        environment: the variables.

    Raises:
        UsageError: an unknown mode, two at once, or nothing that says which.
    """
    if arguments and not arguments[0].startswith("-"):
        return _named(arguments[0], arguments[1:])
    if told := next((each for each in arguments if each.partition("=")[0] in _OF_THE_SDK), None):
        return Choice("serverless", tuple(arguments), told.partition("=")[0])
    wishes: dict[str, Mode] = {"RUNPOD_SERVERLESS": "serverless", "SERVE_API_LOCALLY": "serve"}
    wished = [name for name in wishes if is_true(environment.get(name))]
    if len(wished) > 1:
        raise UsageError(f"{' and '.join(wished)} contradict each other", hint="set one of them")
    if wished:
        return Choice(wishes[wished[0]], tuple(arguments), wished[0])
    for name in (_QUEUE, "RUNPOD_ENDPOINT_ID"):
        if environment.get(name):
            return Choice("serverless", tuple(arguments), f"{name} is set")
    if environment.get("RUNPOD_POD_ID"):
        return Choice("serve", tuple(arguments), "this is a Pod")
    raise UsageError("this is neither a RunPod worker nor a Pod, so there are no jobs to take", hint=_HINT)


def check_jobs(choice: Choice, environment: Mapping[str, str], folder: Path = Path()) -> None:
    """Refuse at once what could get no jobs, or not those that are meant: the SDK finds it out after the whole start.

    Args:
        choice: from `choose`.
        environment: the variables.
        folder: that the process runs in; the SDK takes a `test_input.json` there for a job (runpod 1.12, rp_local.py).

    Raises:
        UsageError: arguments that nobody would read, a job that is none, or no queue.
    """
    if choice.mode == "serve" and choice.arguments:
        raise UsageError(
            f"serve takes no arguments (got {shown(' '.join(choice.arguments))})",
            hint="the variables API_HOST, API_PORT and API_TOKEN say where it listens, and to whom",
        )
    if choice.mode != "serverless":
        return
    told = {each.partition("=")[0] for each in choice.arguments}
    if _ONE_JOB in told:
        _check_job(last_value(choice.arguments, _ONE_JOB))
    elif not (_OWN_SERVER in told or environment.get(_QUEUE) or (folder / "test_input.json").is_file()):
        raise UsageError(
            f"there is no queue to take jobs from: RunPod sets {_QUEUE} in a serverless worker",
            hint=f"elsewhere use serve (the local API), cli COMMAND (such as: cli run NAME), or one job {_JOB_HINT}",
        )


def _check_job(text: str | None) -> None:
    try:
        job = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{_ONE_JOB} is no JSON: {error}", hint=_JOB_HINT) from None
    if not isinstance(job, dict) or job.get("input") is None:
        raise UsageError(f"{_ONE_JOB} holds no job: a JSON object with the key input", hint=_JOB_HINT)


def _named(name: str, rest: Sequence[str]) -> Choice:
    for mode in get_args(Mode):
        if name == mode:
            return Choice(mode, tuple(rest), "the first argument")
    close = nearest(name, get_args(Mode))
    raise UsageError(f'"{name}" is no way to start' + (f' (did you mean "{close}"?)' if close else ""), hint=_HINT)
