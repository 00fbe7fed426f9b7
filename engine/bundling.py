"""A folder with chosen workflows and nothing else: what goes into an image.

The files are copied byte for byte. Every one is checked first, so that a build fails where a worker would have come
up with a broken workflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.authoring.saving import save_all
from engine.catalog import EDITOR_SCHEMA, Catalog
from engine.errors import InvalidMap, Problem, RequestError, StorageError, UnknownWorkflow, WorkflowError
from engine.wording import listed, nearest


def chosen_names(names: Iterable[str]) -> list[str]:
    """Each name once, in the order given; `a,b` is two names, and what is empty is none.

    Args:
        names: as they were written: `["txt2img,resize", "img2img"]`.
    """
    single = (name.strip() for text in names for name in text.split(","))
    return list(dict.fromkeys(name for name in single if name))


def bundle(catalog: Catalog, names: Sequence[str], folder: Path) -> list[str]:
    """Copy workflows into a folder as `templates/NAME.json` and `schemas/NAME.json`, with the editors' schema.

    Args:
        catalog: where they are.
        names: of the workflows; all of them where there are none.
        folder: it is made where it is missing. A file that is there already stays if it is the same.

    Returns:
        The names that were copied, in order of the alphabet.

    Raises:
        UnknownWorkflow: no workflow has one of the names; with the nearest of each.
        InvalidMap: workflows do not load, with every problem of each; or there is none at all.
        StorageError: a file in the folder is another one, or the folder can't be written. Nothing was written then.
    """
    sources = catalog.sources()
    _refuse_unknown([name for name in names if name not in sources], sources)
    if not sources:
        raise InvalidMap(
            "there is no workflow to bundle", hint="a workflow is templates/NAME.json and schemas/NAME.json"
        )
    entries = list(catalog.entries(set(names) or None))
    if problems := [each for entry in entries if entry.error for each in _problems(entry.source.name, entry.error)]:
        raise InvalidMap(problems=problems, hint="engine check NAME tells more; leave out what is not to be bundled")
    files = {folder / "schemas" / f"{EDITOR_SCHEMA}.json": _editor_schema()}
    for entry in entries:
        for path in (entry.source.template, entry.source.map):
            files[folder / path.parent.name / path.name] = path.read_bytes()
    _save(files)
    return [entry.source.name for entry in entries]


def _refuse_unknown(unknown: Sequence[str], known: Iterable[str]) -> None:
    known = list(known)
    if len(unknown) == 1:
        near = nearest(unknown[0], known)
        raise UnknownWorkflow(unknown[0][:64], known=known, nearest=[near] if near else [])
    if unknown:
        problems = []
        for name in unknown:
            near = nearest(name, known)
            problems.append(Problem(name[:64], "no such workflow" + (f'; did you mean "{near}"?' if near else "")))
        raise RequestError(problems=problems, hint=f"the workflows are: {listed(known)}")


def _problems(name: str, error: WorkflowError) -> list[Problem]:
    return list(error.problems) or [Problem("", error.message, file=f"schemas/{name}.json")]


def _editor_schema() -> bytes:
    from engine.map_file import json_schema

    return (json.dumps(json_schema(), indent=2) + "\n").encode()


def _save(files: dict[Path, bytes]) -> None:
    missing, others = {}, []
    for path, content in files.items():
        if not path.exists():
            missing[path] = content
        elif not path.is_file() or path.read_bytes() != content:
            others.append(path)
    if others:
        raise StorageError(
            f"{listed(map(str, others))}: there is another file of that name; nothing was written",
            hint="choose an empty folder, or remove what is there",
            retryable=False,
        )
    if missing:
        try:
            save_all(missing)
        except StorageError as error:
            raise StorageError(error.message, hint="choose a folder that can be written", retryable=False) from error
