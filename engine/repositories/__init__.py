"""The workflows of Git repositories that WORKFLOWS_PATH names: fetched, kept, and had from the last copy.

No git is needed, and nothing of a repository is run: of the commit that the address stands for the JSON files of
`templates/` and `schemas/` are kept, and nothing else. Submodules, Git LFS and links are not followed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.repositories.copies import Copies, Copy
from engine.repositories.fetching import Token, read
from engine.workflows_path import Repository

__all__ = ["Collected", "Copies", "Token", "collect", "kept", "token_for"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collected:
    """What is there of a repository.

    Attributes:
        repository: which.
        folder: with its `templates/` and `schemas/`; there is none of that name where it could not be had.
        commit: that is there; empty where none is.
        problem: why its host was of no use, for people; empty where all is well.
        skipped: files that were left out, with the reason.
    """

    repository: Repository
    folder: Path
    commit: str = ""
    problem: str = ""
    skipped: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """What to tell of it; empty where all is well."""
        if not self.problem:
            left_out = f"left out of {self.repository}: {'; '.join(self.skipped)}"
            return left_out if self.skipped else ""
        if self.commit:
            return f"{self.repository}: the last copy serves ({self.commit[:10]}), since {self.problem}"
        return f"{self.repository}: its workflows are missing, since {self.problem}"


def token_for(text: str | None, host: str | None, repositories: Iterable[Repository]) -> Token | None:
    """The token, with the only host that may have it: the one that is named, else that of all repositories.

    Args:
        text: WORKFLOWS_TOKEN.
        host: WORKFLOWS_TOKEN_HOST.
        repositories: those of WORKFLOWS_PATH; where they are on several hosts, and none is named, nobody gets it.
    """
    hosts = {each.host for each in repositories}
    meant = host.lower() if host else next(iter(hosts)) if len(hosts) == 1 else None
    return Token(text, meant) if text and meant else None


def collect(
    repositories: Iterable[Repository], copies: Copies, *, token: Token | None, seconds: float
) -> dict[Repository, Collected]:
    """Have the workflows of repositories, all at once; what can't be had in time is had from its last copy.

    A commit that is named and there is not asked for again.

    Args:
        repositories: which.
        copies: where they are kept.
        token: for the host that it is for.
        seconds: how long each may take.
    """
    found: dict[Repository, Collected] = {}

    def one(repository: Repository) -> None:
        found[repository] = _collected(repository, copies, token, seconds)

    # Threads that keep no process from ending, as one does whose start fails meanwhile.
    threads = [threading.Thread(target=one, args=(each,), daemon=True) for each in dict.fromkeys(repositories)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def kept(repository: Repository, copies: Copies) -> Collected:
    """What is there of a repository without asking its host: the last copy."""
    last = copies.last(repository)
    return _of(repository, last) if last else _without(repository, copies, None, "it was not fetched yet")


def _collected(repository: Repository, copies: Copies, token: Token | None, seconds: float) -> Collected:
    last = copies.last(repository)
    if last and repository.is_commit:
        return _of(repository, last)
    try:
        with copies.making(repository) as folder:
            made = folder / "made"
            made.mkdir()
            known = last.commit if last else None
            answer = read(repository, made, known=known, token=token, seconds=seconds)
            if answer.problem:
                return _without(repository, copies, last, answer.problem)
            return _of(repository, copies.keep(repository, made, answer.commit), answer.skipped)
    except OSError as error:  # callers are told as well, so without the path
        return _without(repository, copies, last, f"it can't be kept: {error.strerror}")
    except Exception as error:  # whatever there is with one, the others and the worker go on
        log.exception("the repository %s can't be read", repository)
        return _without(repository, copies, last, f"reading it failed: {type(error).__name__}")


def _of(repository: Repository, copy: Copy, skipped: tuple[str, ...] = ()) -> Collected:
    return Collected(repository, copy.folder, copy.commit, skipped=skipped)


def _without(repository: Repository, copies: Copies, last: Copy | None, problem: str) -> Collected:
    if last:
        return Collected(repository, last.folder, last.commit, problem)
    return Collected(repository, copies.place(repository) / "missing", problem=problem)
