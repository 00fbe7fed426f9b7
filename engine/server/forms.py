"""From the fields of a form to a payload: texts by their parameters' types, files by the names they are kept under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from engine.documents import parse_json
from engine.errors import InputRejected, InvalidMap, InvalidPayload, Problem
from engine.schema import ArrayParameter, MediaParameter, Parameter
from engine.server.bodies import Fields
from engine.server.uploads import Uploads
from engine.text_values import value_of_text
from engine.workflow import Workflow


async def payload_of(fields: Fields, workflow: Workflow, uploads: Uploads, *, most_text_bytes: int) -> dict[str, Any]:
    """The payload that a form's fields make.

    A field is read as `-p key=value` of the command line is. A list is its JSON, or a field for each of its items; an
    object is its JSON. A file of a media parameter is kept as one that was sent to `/files`; one of another parameter
    is read as its text. A file that was not chosen, as browsers send it, is left out.

    Args:
        fields: names, with texts or files.
        workflow: says what each parameter is.
        uploads: where files are kept.
        most_text_bytes: of all files that are read as text.

    Raises:
        InvalidPayload: a field stands there several times and is no list, or a file is no text; with every problem of
            the payload.
        InputRejected: a file can't be used, and nothing else is wrong.
    """
    payload: dict[str, Any] = {}
    problems: list[Problem] = []
    refused: list[Problem] = []
    left = most_text_bytes
    by_name: dict[str, list[str]] = {}
    for name, value in fields:
        parameter = workflow.parameters.get(name)
        text: str | None
        if not isinstance(value, UploadFile):
            text = value
        elif not value.size and not value.filename:
            continue
        elif parameter is None:
            text = ""  # validation says that there is none of that name
        elif _is_media(parameter):
            try:
                text = (await run_in_threadpool(uploads.keep, value.file, value.filename or name)).name
            except InputRejected as error:
                refused += [Problem(name, f"{each.where} {each.message}") for each in error.problems]
                continue
        else:
            text = await _text_of(value, left)
            left -= value.size or 0
        if text is None:
            problems.append(Problem(name, "is a file that is no UTF-8 text, or a long one"))
        else:
            by_name.setdefault(name, []).append(text)
    for name, values in by_name.items():
        parameter = workflow.parameters.get(name)
        if isinstance(parameter, ArrayParameter):
            payload[name] = _list_of(values, parameter)
        elif len(values) > 1:
            problems.append(Problem(name, f"stands {len(values)} times in the form, and is no list"))
        else:
            payload[name] = value_of_text(values[0], parameter)
    if problems or refused:
        told = {each.where for each in (*problems, *refused)}
        problems += [each for each in _wrong_in(payload, workflow) if each.where.partition("[")[0] not in told]
        raise (InvalidPayload if problems else InputRejected)(problems=[*refused, *problems])
    return payload


def _wrong_in(payload: dict[str, Any], workflow: Workflow) -> Sequence[Problem]:
    """What else is wrong with a payload that is not whole."""
    try:
        workflow.validate(payload)
    except InvalidPayload as error:
        return error.problems
    return ()


def _is_media(parameter: Parameter) -> bool:
    if isinstance(parameter, ArrayParameter):
        return _is_media(parameter.items)
    return isinstance(parameter, MediaParameter)


def _list_of(values: list[str], parameter: ArrayParameter) -> Any:
    if len(values) == 1:
        if values[0] == "null":
            return None
        try:
            found = parse_json(values[0], label="")
        except InvalidMap:
            found = None
        if isinstance(found, list):
            return found
    return [value_of_text(each, parameter.items) for each in values]


async def _text_of(file: UploadFile, most_bytes: int) -> str | None:
    content = await file.read(most_bytes + 1)
    try:
        return content.decode("utf-8-sig") if len(content) <= most_bytes else None
    except UnicodeDecodeError:
        return None
