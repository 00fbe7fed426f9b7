"""Files that other workers' requests bring along: `images` and `input_images`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import InvalidRequest, Problem
from engine.wording import did_you_mean, kind_of, listed, shown

MOST_FILES = 100
"""Each is fetched and checked; no graph that a person drew loads more."""

_LONGEST_NAME = 255
_DATA_KEYS = ("image", "data", "url", "base64")
_KEYS = ("name", *_DATA_KEYS)
_FORM = 'images are [{"name": "in.png", "image": "…"}], input_images {"in.png": "…"}'


def sent_files(images: Any, input_images: Any) -> dict[str, Any]:
    """The files of a request, by the names that a graph or a media parameter calls them by.

    Args:
        images: `[{"name": …, "image": …}]`; instead of `image`, the data may stand under `data`, `url` or `base64`.
        input_images: `{name: …}`.

    Returns:
        Name to reference: a string (base64, a data URI or a URL) or `{"url": …}`, as media values of a payload are.
        What stands under the key `url` is always `{"url": …}`.

    Raises:
        InvalidRequest: with every problem; what was sent as data is in none of them.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    count = 0
    for where, name, reference, wrong in [*_listed_files(images), *_mapped_files(input_images)]:
        count += 1
        problems += wrong
        if not isinstance(name, str):
            continue
        if name in found:
            problems.append(Problem(where, f"the name {shown(name)} is taken by another file; each has its own"))
        found[name] = reference
    problems += [
        Problem(key, f"must be {kind}, not {kind_of(value)}")
        for key, value, types, kind in (
            ("images", images, list, "an array of objects with a name and an image"),
            ("input_images", input_images, Mapping, "an object of names and files"),
        )
        if value is not None and not isinstance(value, types)
    ]
    if count > MOST_FILES:
        problems.append(Problem("images", f"there are {count} files, and at most {MOST_FILES} are taken"))
    if problems:
        raise InvalidRequest(problems=problems, hint=_FORM)
    return found


_Found = tuple[str, Any, Any, list[Problem]]
"""Where the file's name stands, the name (None where there is none that could be used), the reference, problems."""


def _listed_files(images: Any) -> Iterator[_Found]:
    for index, entry in enumerate(images if isinstance(images, list) else ()):
        where = f"images[{index}]"
        if not isinstance(entry, Mapping):
            yield where, None, None, [Problem(where, f"must be an object, not {kind_of(entry)}")]
            continue
        problems = [
            Problem(f"{where}.{key}", f"unknown key{did_you_mean(str(key), _KEYS)}; the keys are: {listed(_KEYS)}")
            for key in entry
            if key not in _KEYS
        ]
        name = entry.get("name")
        if name is None:
            problems.append(Problem(f"{where}.name", "is missing: the name that the graph calls the file by"))
        else:
            problems += _name_problems(f"{where}.name", name)
        given = [key for key in _DATA_KEYS if entry.get(key) is not None]
        if not given:
            problems.append(Problem(f"{where}.image", "is missing: the file, as base64, a data URI or a URL"))
        elif len(given) > 1:
            problems.append(Problem(where, f"the file is given {len(given)} times: {listed(given)}; keep one"))
        for key in given:
            problems += _reference_problems(f"{where}.{key}", entry[key], takes_object=key != "url")
        reference = entry[given[0]] if given else None
        yield f"{where}.name", name, {"url": reference} if given == ["url"] else reference, problems


def _mapped_files(input_images: Any) -> Iterator[_Found]:
    for name, reference in (input_images if isinstance(input_images, Mapping) else {}).items():
        where = f"input_images[{shown(name)}]"
        problems = _name_problems(where, name)
        if reference is None:
            problems.append(Problem(where, "is missing: the file, as base64, a data URI or a URL"))
        else:
            problems += _reference_problems(where, reference, takes_object=True)
        yield where, name, reference, problems


def _name_problems(where: str, name: Any) -> list[Problem]:
    if not isinstance(name, str):
        return [Problem(where, f"must be a string, not {kind_of(name)}")]
    if not name.strip():
        return [Problem(where, "is empty")]
    if len(name) > _LONGEST_NAME:
        return [Problem(where, f"is {len(name)} characters long; a name has at most {_LONGEST_NAME}")]
    return []


def _reference_problems(where: str, reference: Any, *, takes_object: bool) -> list[Problem]:
    if takes_object and isinstance(reference, Mapping):
        if list(reference) == ["url"]:
            return _reference_problems(f"{where}.url", reference["url"], takes_object=False)
        return [Problem(where, 'an object here holds the one key "url"')]
    if not isinstance(reference, str):
        return [Problem(where, f"must be a string, not {kind_of(reference)}")]
    return [] if reference.strip() else [Problem(where, "is empty")]
