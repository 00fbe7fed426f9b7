"""`engine bundle`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.bundling import bundle, chosen_names
from engine.catalog import Catalog, Folder
from engine.commands.folders import workflow_folders
from engine.commands.output import print_json, print_line, print_note
from engine.errors import RequestError
from engine.wording import listed


def write(target: Path, names: Sequence[str], *, folder: Path | None = None, as_json: bool = False) -> None:
    """Copy workflows into a folder of their own and tell which.

    Args:
        target: where to.
        names: of the workflows, also several in one, `a,b`; all where there are none.
        folder: with `templates/` and `schemas/`, in place of those that WORKFLOWS_PATH names.
        as_json: print one document.

    Raises:
        UsageError: no workflow has one of the names.
        InvalidMap: one of them does not load.
        StorageError: another file is in the way, or the folder can't be written.
    """
    from engine.errors import UsageError

    if folder is not None and not folder.is_dir():
        raise UsageError(f"--folder {folder}: there is no such folder")
    catalog = Catalog([Folder(folder)] if folder else workflow_folders())
    try:
        copied = bundle(catalog, chosen_names(names), target)
    except RequestError as error:
        raise UsageError(error.message, hint=error.hint, problems=error.problems) from error
    if as_json:
        print_json({"folder": str(target), "workflows": copied})
        return
    for name in copied:
        print_line(f"{target}: {name}")
    if left_out := sorted(set(catalog.sources()).difference(copied)):
        print_note(f"left out: {listed(left_out)}")
