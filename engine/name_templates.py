"""What results are called: templates such as `{workflow}/{date}/{seed}_{index:04}`. Pure.

A template is text of the operator or of a caller, so it is no Python format string: a field is a plain name, and the
one thing that may follow it is a width to pad a number to. What it yields always stays below its prefix.
"""

from __future__ import annotations

import re
import string
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.delivery import Naming
from engine.names import LONGEST_KEY, LONGEST_SEGMENT, LONGEST_SUFFIX, clean_prefix, clean_segment, is_safe, suffix_of
from engine.results import OutputFile
from engine.wording import did_you_mean, listed

DEFAULT_TEMPLATE = "{workflow}/{job_id}/{filename}"
"""ComfyUI's own names, in a folder for each job."""

# The most bytes that each fixed field can take. A payload's value takes what a part of a path can at most.
_BOUNDS = {
    "prefix": 0,  # counted as it is, beside the template
    "workflow": 128,
    "version": 64,
    "job_id": 128,
    "request_id": 128,
    "name": 64,
    "index": 10,
    "filename": LONGEST_SEGMENT,
    "stem": LONGEST_SEGMENT,
    "ext": 16,
    "node_id": 64,
    "kind": 8,
    "date": 10,
    "time": 6,
    "timestamp": 12,
    "uuid": 36,
    "seed": 64,
}
FIELDS = tuple(_BOUNDS)
"""What every template may name, beside the parameters of its workflow."""

_VALUE_CHARACTERS = 64
_MOST_DIGITS = 20  # of 2^64
_NUMBER_BYTES = 10  # the number that tells two of the same name apart, with its underscore
_WIDTH = re.compile(r"0(?:[1-9]|1[0-9]|20)")
_MOST_CHARACTERS = 1024


def template_problem(template: str, *, prefix: str = "", parameters: Collection[str] | None = None) -> str | None:
    """What is wrong with a template, or None.

    Args:
        template: of a result's name.
        prefix: folders before it, which its length counts with.
        parameters: of the workflow; None where it is not known yet, so that any name may be one.
    """
    if len(template) > _MOST_CHARACTERS:
        return f"must be at most {_MOST_CHARACTERS} characters long (got {len(template)})"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return "has a brace without its partner"
    for _, name, specification, conversion in parts:
        if name is not None and (complaint := _field_problem(name, specification or "", conversion, parameters)):
            return complaint
    literal = "".join(text for text, _, _, _ in parts)
    unsafe = [character for character in literal if character != "/" and not is_safe(character)]
    if unsafe:
        return f"holds {unsafe[0]!r}, which is not safe in a name; letters, digits, - _ . and / are"
    if any(set(part) == {"."} for part in template.split("/") if part):
        return "must not hold `.` or `..` as a folder: results stay below their prefix"
    if not template.strip("/") or template.endswith("/"):
        return "must end in a name, not in a folder"
    if _longest(template, prefix) > LONGEST_KEY:
        return f"can become longer than {LONGEST_KEY} bytes with its prefix; use fewer fields or less text"
    return None


def result_names(
    files: Sequence[OutputFile],
    *,
    template: str,
    prefix: str = "",
    root: str = "",
    naming: Naming,
    moment: datetime,
    new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
) -> list[str]:
    """A name for every result of one job, no two the same.

    Args:
        files: the results.
        template: as `template_problem` finds nothing wrong with.
        prefix: the request's folders; may hold slashes. They come before the name, unless the template says `{prefix}`.
        root: the operator's folders, before everything.
        naming: what the fields stand for.
        moment: the time that the fields of time tell.
        new_uuid: draws what `{uuid}` stands for, once for each result.

    Returns:
        Names of at most 1024 bytes of UTF-8, below the prefixes, without a leading, doubled or trailing slash, each
        with its result's extension.
    """
    placed = _fields(template)
    before = [clean_prefix(root)] if "prefix" in placed else [clean_prefix(root), clean_prefix(prefix)]
    common = _of_job(naming, prefix, moment)
    taken: set[str] = set()
    names = []
    for file in files:
        fields = {**common, **_of_result(file), "uuid": str(new_uuid())}
        path = _path(_filled(template, fields), file)
        name = "/".join([part for part in before if part] + path)
        attempt = 1
        while (candidate := numbered(name, attempt)) in taken:
            attempt += 1
        taken.add(candidate)
        names.append(candidate)
    return names


def numbered(name: str, attempt: int) -> str:
    """A name, or with a number before its extension to tell it from others of the same name (`film_2.mp4`)."""
    if attempt == 1:
        return name
    suffix = suffix_of(name)
    return f"{name[: len(name) - len(suffix)]}_{attempt}{suffix}"


def _field_problem(
    name: str, specification: str, conversion: str | None, parameters: Collection[str] | None
) -> str | None:
    if not name:
        return "has a field without a name; write {index}, not {}"
    if conversion or (specification and not _WIDTH.fullmatch(specification)) or not re.fullmatch(r"\w+", name):
        return (
            f"has {{{name[:40]}}} with more than a name in its braces; "
            "only a width for numbers may follow, such as {index:04}"
        )
    known = list(dict.fromkeys((*FIELDS, *(parameters or ()))))
    if name not in known and (parameters is not None or not name.isidentifier()):
        return f"names {{{name[:40]}}}{did_you_mean(name, known)}; it may name {listed(known)}"
    return None


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def _longest(template: str, prefix: str) -> int:
    """The most bytes that a name can take."""
    folders = len(clean_prefix(prefix).encode()) + 1
    parts = [0]
    for text, name, _, _ in string.Formatter().parse(template):
        first, *more = (len(part.encode()) for part in text.split("/"))
        parts[-1] += first
        parts += more
        if name is not None:
            parts[-1] += max(_BOUNDS.get(name, LONGEST_SEGMENT), _MOST_DIGITS) if name != "prefix" else 0
    parts[-1] += LONGEST_SUFFIX
    return folders + sum(min(part, LONGEST_SEGMENT) + 1 for part in parts) + _NUMBER_BYTES


def _of_job(naming: Naming, prefix: str, moment: datetime) -> dict[str, str]:
    values = {name: _text(value) for name, value in naming.values.items()}
    job_id = clean_segment(naming.job_id, longest=_BOUNDS["job_id"])
    return {
        "seed": "none",
        **values,
        "prefix": clean_prefix(prefix),
        "workflow": clean_segment(naming.workflow, longest=_BOUNDS["workflow"]),
        "version": clean_segment(naming.version, longest=_BOUNDS["version"]),
        "job_id": job_id,
        "request_id": job_id,
        "date": moment.strftime("%Y-%m-%d"),
        "time": moment.strftime("%H%M%S"),
        "timestamp": str(int(moment.timestamp())),
    }


def _of_result(file: OutputFile) -> dict[str, str]:
    filename = clean_segment(file.filename or file.name)
    suffix = suffix_of(filename)
    return {
        "name": clean_segment(file.name, longest=_BOUNDS["name"]),
        "index": str(file.index),
        "filename": filename,
        "stem": filename[: len(filename) - len(suffix)],
        "ext": suffix.removeprefix(".") or "bin",
        "node_id": clean_segment(file.node_id, longest=_BOUNDS["node_id"]),
        "kind": file.kind,
    }


def _text(value: Any) -> str:
    """A payload's value as a part of a name."""
    if isinstance(value, bool):
        return str(value).lower()
    if value == "" or not isinstance(value, str | int | float):
        return "none"  # null, and what is no single value
    return clean_segment(str(value)[:_VALUE_CHARACTERS])


def _filled(template: str, fields: Mapping[str, str]) -> str:
    filled = []
    for text, name, specification, _ in string.Formatter().parse(template):
        filled.append(text)
        if name is not None:
            value = fields.get(name, "none")
            is_number = value.isascii() and value.isdecimal()
            filled.append(value.zfill(int(specification)) if specification and is_number else value)
    return "".join(filled)


def _path(filled: str, file: OutputFile) -> list[str]:
    """The cleaned parts of a filled template, the last with the result's extension."""
    *folders, last = filled.split("/")
    filename = clean_segment(file.filename or file.name)
    suffix = suffix_of(filename)
    last = last or filename
    if not _ends_in(last, suffix):
        last += suffix
    return [clean_segment(part) for part in folders if part.strip(".")] + [clean_segment(last)]


def _ends_in(name: str, suffix: str) -> bool:
    """Whether a name has this extension already; `.jpg` and `.jpeg` are one."""
    own, wanted = (text.lower().replace(".jpeg", ".jpg") for text in (suffix_of(name), suffix))
    return own == wanted or not suffix
