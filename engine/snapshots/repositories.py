"""What a clone is of: its commit and where it is from, without a need for git.

An image has no git, and a volume's clones are looked at there all the same. Read off git's own files
(gitrepository-layout(5), git-config(1)); where they are of another kind (reftable), git is asked if it is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_GIT_SECONDS = 20.0


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out in a clone; None where it is none, or holds no commit."""
    git = _git_folder(folder)
    if git is None:
        return None
    head = _text(git / "HEAD")
    if _COMMIT.fullmatch(head):
        return head
    reference = head.removeprefix("ref: ").strip()
    if reference == head or ".." in reference:
        return _asked(folder, "rev-parse", "HEAD", expected=_COMMIT)
    shared = _shared(git)
    for place in (git, shared):
        if _COMMIT.fullmatch(commit := _text(place / reference)):
            return commit
    for line in _text(shared / "packed-refs").splitlines():
        commit, _, name = line.partition(" ")
        if name == reference and _COMMIT.fullmatch(commit):
            return commit
    return _asked(folder, "rev-parse", "HEAD", expected=_COMMIT)


def remote_of(folder: Path) -> str | None:
    """The URL that a clone is from: of its remote `origin`, or else its first; without a user and password in it."""
    git = _git_folder(folder)
    if git is None:
        return None
    urls: dict[str, str] = {}
    remote = ""
    for line in _text(_shared(git) / "config").splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            section = re.fullmatch(r'\[remote "(.*)"\].*', stripped)
            remote = section[1] if section else ""
        elif remote and (value := re.fullmatch(r'url\s*=\s*"?(.*?)"?', stripped)):
            urls.setdefault(remote, value[1])
    url = urls.get("origin") or next(iter(urls.values()), "")
    return re.sub(r"(?<=://)[^/]*@", "", url) if url.startswith(("http://", "https://")) else url or None


def name_of(url: str) -> str:
    """The folder that a clone of this URL gets."""
    return url.rstrip("/").replace("\\", "/").rpartition("/")[2].removesuffix(".git")


def changed_files(folder: Path) -> list[str]:
    """The files of a clone that differ from its commit, by `git status`; none where git is not there to say."""
    if _git_folder(folder) is None:
        return []
    said = _asked(folder, "status", "--porcelain", "--untracked-files=no")
    return [line[3:] for line in said.splitlines() if len(line) > 3] if said else []


def _git_folder(folder: Path) -> Path | None:
    """The repository's own folder: `.git`, or where a file of that name says (a submodule, a worktree)."""
    git = folder / ".git"
    if git.is_file():
        target = _text(git).removeprefix("gitdir:").strip()
        git = folder / target
    return git if (git / "HEAD").is_file() else None


def _shared(git: Path) -> Path:
    """Where a worktree has what it shares with the others."""
    common = _text(git / "commondir")
    return git / common if common else git


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\n\r ")
    except OSError:
        return ""


def _asked(folder: Path, *arguments: str, expected: re.Pattern[str] | None = None) -> str | None:
    """What git says of a clone; None where it is not installed, or says something else."""
    git = shutil.which("git")
    if git is None:
        return None
    # A clone may be another user's, and name programs in its configuration: of these, none is to run.
    safe = ("-c", f"safe.directory={folder.resolve()}", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own git and folder
            [git, *safe, "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.rstrip("\n")
    return said if done.returncode == 0 and (expected is None or expected.fullmatch(said)) else None
