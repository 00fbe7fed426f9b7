"""What a container is to do: take RunPod's jobs, serve the local API, or run one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from engine import is_true
from engine.errors import UsageError
from engine.wording import nearest

Mode = Literal["serverless", "serve", "cli"]

_OF_THE_SDK = ("--test_input", "--rp_serve_api")
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
    for name in ("RUNPOD_WEBHOOK_GET_JOB", "RUNPOD_ENDPOINT_ID"):
        if environment.get(name):
            return Choice("serverless", tuple(arguments), f"{name} is set")
    if environment.get("RUNPOD_POD_ID"):
        return Choice("serve", tuple(arguments), "this is a Pod")
    raise UsageError("this is neither a RunPod worker nor a Pod, so there are no jobs to take", hint=_HINT)


def _named(name: str, rest: Sequence[str]) -> Choice:
    for mode in get_args(Mode):
        if name == mode:
            return Choice(mode, tuple(rest), "the first argument")
    close = nearest(name, get_args(Mode))
    raise UsageError(f'"{name}" is no way to start' + (f' (did you mean "{close}"?)' if close else ""), hint=_HINT)
