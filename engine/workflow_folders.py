"""The folders that a catalog is made of: those that WORKFLOWS_PATH names, with copies in place of repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.catalog import Folder
from engine.repositories import Collected, Copies, collect, kept, token_for
from engine.settings import Settings
from engine.volume import lasting_folder, volume_workflows
from engine.workflows_path import Entry, Repository


def copies_of(volume: Path) -> Copies:
    """Where copies of repositories are kept: on the volume, where there is one, else in the user's cache."""
    return Copies(lasting_folder("workflows", volume))


def repositories_in(entries: Iterable[Entry]) -> list[Repository]:
    """The repositories among the entries of a WORKFLOWS_PATH."""
    return [each for each in entries if isinstance(each, Repository)]


def kept_folders(settings: Settings) -> list[Folder]:
    """The folders, with the last copies of repositories; nobody is asked."""
    copies = copies_of(settings.volume_path)
    return _folders(settings, lambda each: kept(each, copies))


def fetched_folders(settings: Settings) -> list[Folder]:
    """The folders, with repositories as they are now, or their last copies where their hosts are of no use.

    Takes up to WORKFLOWS_FETCH_SECONDS where there are repositories.
    """
    repositories = repositories_in(settings.workflows_path)
    found = collect(
        repositories,
        copies_of(settings.volume_path),
        token=token_for(settings.workflows_token, settings.workflows_token_host, repositories),
        seconds=settings.workflows_fetch_seconds,
    )
    return _folders(settings, found.__getitem__)


def _folders(settings: Settings, collected: Callable[[Repository], Collected]) -> list[Folder]:
    return [
        _copied(collected(each)) if isinstance(each, Repository) else _plain(each, settings.volume_path)
        for each in settings.workflows_path
    ]


def _plain(path: Path, volume: Path) -> Folder:
    # The start names this one itself where the operator names none: workflows may be put there at any time.
    return Folder(path, needed=path != volume_workflows(volume))


def _copied(collected: Collected) -> Folder:
    commit = f" ({collected.commit[:10]})" if collected.commit else ""
    return Folder(collected.folder, f"{collected.repository}{commit}", collected.trouble, needed=False)
