"""Copies of the workflows of Git repositories, on the volume or in the user's cache.

Each address has a folder, with one for each commit in it, which never changes once it is there, and `current.json`,
which says what the address stood for when its host was last asked. So several workers of one volume need no lock: each
makes a folder of its own, and gives it its name in one step; the second that comes finds the same files there.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from engine.workflows_path import Repository

_CURRENT = "current.json"
_MAKING = ".making-"
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_MOST_COMMITS = 50
"""Older ones than that many are removed; a worker that still serves one has run for very long."""
_LEFT_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Copy:
    """The workflows of one commit.

    Attributes:
        folder: with `templates/` and `schemas/`.
        commit: its name.
        asked: when the host said that the address stands for it.
    """

    folder: Path
    commit: str
    asked: datetime


class Copies:
    """Keeps copies.

    Args:
        root: the folder for them; it is made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def last(self, repository: Repository) -> Copy | None:
        """The copy that was current when the host was last asked; None where there is none."""
        place = self.place(repository)
        try:
            found = json.loads((place / _CURRENT).read_bytes())
            commit, asked = str(found["commit"]), datetime.fromisoformat(found["asked"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        folder = place / commit
        if found.get("address") != str(repository) or not _COMMIT.fullmatch(commit) or not folder.is_dir():
            return None
        return Copy(folder, commit, asked)

    @contextmanager
    def making(self, repository: Repository) -> Iterator[Path]:
        """An empty folder beside the copies, which is gone afterwards unless `keep` gave it a name.

        Raises:
            OSError: none can be made.
        """
        place = self.place(repository)
        place.mkdir(parents=True, exist_ok=True)
        last = self.last(repository)
        self._tidy(place, last.commit if last else None)
        with tempfile.TemporaryDirectory(dir=place, prefix=_MAKING, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def keep(self, repository: Repository, made: Path, commit: str) -> Copy:
        """Give what was made its name, and have it current.

        Args:
            repository: whose it is.
            made: a folder with `templates/` and `schemas/`; without them the commit is there already.
            commit: what was read.

        Raises:
            OSError: it can't be kept.
        """
        place = self.place(repository)
        folder = place / commit
        if not folder.is_dir():
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was the first, with the same files
                    raise
        now = datetime.now(UTC)
        document = {"address": str(repository), "commit": commit, "asked": now.isoformat(timespec="seconds")}
        with tempfile.NamedTemporaryFile("w", dir=place, prefix=_MAKING, delete=False) as file:
            json.dump(document, file)
        Path(file.name).replace(place / _CURRENT)
        return Copy(folder, commit, now)

    def place(self, repository: Repository) -> Path:
        """The folder of an address."""
        name = re.sub(r"[^a-z0-9]+", "-", repository.url.partition("://")[2].lower()).strip("-")[-60:]
        return self._root / f"{name}-{sha256(str(repository).encode()).hexdigest()[:12]}"

    @staticmethod
    def _tidy(place: Path, current: str | None) -> None:
        """Remove what killed processes left, and commits of long ago; not the current one, which may be an old one."""
        with contextlib.suppress(OSError):
            for left in place.glob(f"{_MAKING}*"):
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
            commits = [each for each in place.iterdir() if _COMMIT.fullmatch(each.name) and each.name != current]
            commits.sort(key=lambda each: each.stat().st_mtime, reverse=True)
            for old in commits[_MOST_COMMITS:]:
                shutil.rmtree(old, ignore_errors=True)
