"""Where the commands look for workflows, and which of them are offered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from engine import bundled_workflows, in_capitals
from engine.catalog import Folder
from engine.commands.output import print_note
from engine.errors import Problem, SettingsError
from engine.volume import volume_of, volume_workflows
from engine.wording import shown
from engine.workflows_path import Entry, entries_of

if TYPE_CHECKING:
    from engine.settings import Settings


def workflow_folders() -> list[Folder]:
    """WORKFLOWS_PATH, without the cost of all other settings: a listing is to be instant.

    Where it names repositories they are asked first, and what is wrong with them is told on stderr.

    Raises:
        SettingsError: it names something that is none of the two; or another setting is wrong, where one is needed.
    """
    entries = _entries()
    folders = own_folders()
    if len(folders) == len(entries):
        late = volume_workflows(volume_of(in_capitals(os.environ)))
        return [Folder(each, needed=each != late) for each in folders]
    from engine.settings import load_settings

    return folders_of(load_settings())


def folders_of(settings: Settings) -> list[Folder]:
    """The folders of these settings; repositories are asked, and what is wrong with them is told on stderr."""
    from engine.workflow_folders import fetched_folders

    folders = fetched_folders(settings)
    for folder in folders:
        if folder.trouble:
            print_note(f"warning: {folder.trouble}")
    return folders


def own_folders() -> list[Path]:
    """The folders of WORKFLOWS_PATH, whose files may be written; repositories left out."""
    return [each for each in _entries() if isinstance(each, Path)]


def _entries() -> tuple[Entry, ...]:
    path = in_capitals(os.environ).get("WORKFLOWS_PATH")
    if not path:
        return (bundled_workflows(),)
    try:
        return entries_of(path)
    except ValueError as error:
        raise SettingsError(problems=[Problem("WORKFLOWS_PATH", str(error))]) from error


def offered_workflows() -> tuple[str, ...]:
    """The names in WORKFLOWS, likewise; empty where all workflows are offered.

    Raises:
        SettingsError: it is set, and names none.
    """
    text = in_capitals(os.environ).get("WORKFLOWS", "")
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if text and not names:
        raise SettingsError(problems=[Problem("WORKFLOWS", f"names no workflow (got {shown(text)})")])
    return names


def chosen_snapshot() -> str:
    """SNAPSHOT, likewise; empty where none is chosen."""
    return in_capitals(os.environ).get("SNAPSHOT", "")
