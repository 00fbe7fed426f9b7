"""Has a Git repository read, by a process that is bounded in time, memory and disk."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.workflows_path import Repository

_READER = Path(__file__).with_name("reader.py")
_ANY_USER = "x-access-token"
"""GitHub, GitLab and Gitea take any name beside a token; this is the one that GitHub's own documentation uses."""
MOST_BYTES = 100_000_000
MOST_FILE_BYTES = 8_000_000
_MOST_FILES = 2000
_LONGEST_ANSWER = 1_000_000
# Of the machine's settings those that say how the internet is reached; not the user's of git, which may run programs.
_HANDED_ON = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Token:
    """Of a repository's host.

    Attributes:
        text: `TOKEN`, or `USER:TOKEN` for a host that wants the user's name.
        host: the only one that is given it, with its port where that is named.
    """

    text: str
    host: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        commit: what the address stands for now; empty where that is not known.
        problem: why it can't be had, for people.
        skipped: files that were left out, with the reason.
    """

    commit: str = ""
    problem: str = ""
    skipped: tuple[str, ...] = ()


def read(repository: Repository, into: Path, *, known: str | None, token: Token | None, seconds: float) -> Answer:
    """Read the workflows of a repository: the JSON files in its `templates/` and `schemas/`.

    Args:
        repository: which.
        into: an empty folder; it has the two afterwards, unless the commit is the known one.
        known: the commit that is there already.
        token: is only given to its own host, on stdin: no list of processes and no environment shows it.
        seconds: how long all of it may take.
    """
    user, secret = _credentials(token) if token and token.host == repository.host else (None, None)
    wanted = {
        "url": repository.url,
        "ref": repository.ref,
        "folder": repository.folder,
        "known": known,
        "into": str(into.absolute()),
        "user": user,
        "token": secret,
        "timeout_seconds": seconds,
        "most_bytes": MOST_BYTES,
        "most_file_bytes": MOST_FILE_BYTES,
        "most_files": _MOST_FILES,
    }
    # The pack goes to this machine's own disk, since the copies may be on a network volume.
    with tempfile.TemporaryDirectory(prefix="repository-", ignore_cleanup_errors=True) as work:
        answer, complaint = _said(wanted, Path(work), seconds)
    if answer is None:
        return Answer(problem=f"{repository.host} did not answer, or not to the end, within {seconds:g} s")
    try:
        found = json.loads(answer)
    except ValueError:
        return Answer(problem=f"reading it failed: {(complaint.splitlines() or ['nothing was said'])[-1][:200]}")
    problem = found.get("problem", "")
    return Answer(
        found.get("commit", ""),
        problem.replace(secret, "***") if secret else problem,
        tuple(found.get("skipped", ())),
    )


def _said(wanted: dict[str, Any], home: Path, seconds: float) -> tuple[str | None, str]:
    """What the process printed, and what it complained of; None where it was not done in time."""
    with subprocess.Popen(  # noqa: S603 - no shell, and the program is ours
        [sys.executable, "-I", "-W", "ignore", str(_READER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(home),
        start_new_session=True,  # Ctrl-C is ours to answer
    ) as process:
        try:
            said, complaint = process.communicate(json.dumps(wanted), timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return None, ""
        except BaseException:
            _end(process)
            raise
    return said[:_LONGEST_ANSWER], complaint


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # Windows
            process.kill()
    process.communicate()


def _credentials(token: Token) -> tuple[str, str]:
    user, colon, secret = token.text.partition(":")
    return (user, secret) if colon else (_ANY_USER, token.text)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    proxies = {
        name: text for each in _PROXIES for name in (each, each.lower()) if (text := os.environ.get(name)) is not None
    }
    # dulwich looks for these in small letters alone.
    lower = {name.lower(): text for name, text in proxies.items()}
    return kept | proxies | lower | {"HOME": str(home), "TMPDIR": str(home)}
