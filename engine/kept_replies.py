"""Replies kept in a folder: whole or not at all, and no more than a bound.

A reply is a file of its own, so that several workers can share the folder. One that is not whole, or that can't be
read, is as good as none, and one that can't be written costs a warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engine.logs import event

log = logging.getLogger(__name__)

_MOST_REPLIES = 10_000
_AFTER_TIDYING = 0.8
_LINK_MARGIN_SECONDS = 60.0
_ABANDONED_SECONDS = 600.0
_FORM = 1
_OURS = re.compile(r"[0-9a-f]{64}\.json|\.[0-9a-f]{32}\.part")


class KeptReplies:
    """The replies in a folder, by key. Safe to use from several threads.

    Args:
        folder: where they are, each in a file that only this user can read; made when first needed.
        longest_bytes: what all of them may take.
        longest_seconds: how long one is kept.
        clock: seconds since 1970.
    """

    def __init__(self, folder: Path, *, longest_bytes: int, longest_seconds: float, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._longest_bytes = longest_bytes
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._kept_bytes: int | None = None
        self._kept_files = 0
        self._tidied = 0.0

    def read(self, key: str) -> str | None:
        """The reply kept for a job, where there is a whole one that still holds."""
        try:
            head, _, text = self._file(key).read_text(encoding="ascii").partition("\n")
            described = json.loads(head)
            whole = described["form"] == _FORM and described["sha256"] == digest(text)
            age = self._clock() - described["stored_at"]
            links = described["links_end_at"]
            if not whole or age > self._longest_seconds:
                return None
            return text if links is None or links - self._clock() > _LINK_MARGIN_SECONDS else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
            event(log, logging.WARNING, "a kept reply can't be read: the job runs again", reason=_reason(error))
            return None

    def write(self, key: str, text: str) -> None:
        """Keep a reply; where that fails the job has its reply none the less."""
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            described = {
                "form": _FORM,
                "stored_at": self._clock(),
                "links_end_at": links_end(json.loads(text)),
                "sha256": digest(text),
            }
            content = f"{json.dumps(described)}\n{text}".encode("ascii")
            if len(content) > self._longest_bytes:
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(len(content))
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(content)
                part.replace(self._file(key))
            finally:
                part.unlink(missing_ok=True)
        except (OSError, ValueError, MemoryError) as error:
            event(log, logging.WARNING, "a reply could not be kept: a second delivery would run", reason=_reason(error))

    def _make_room(self, more: int) -> None:
        """Remove what is too old, and the oldest where there is too much. Looks at the folder now and then only."""
        with self._lock:
            now = self._clock()
            full = (
                self._kept_bytes is None
                or self._kept_bytes + more > self._longest_bytes
                or self._kept_files >= _MOST_REPLIES
                or abs(now - self._tidied) > self._longest_seconds / 2
            )
            if full:
                self._tidied = now
                self._kept_bytes, self._kept_files = self._tidy(more, now)
            self._kept_bytes = (self._kept_bytes or 0) + more
            self._kept_files += 1

    def _tidy(self, more: int, now: float) -> tuple[int, int]:
        files = sorted(self._files(), key=lambda each: each[1])
        kept_bytes, kept_files = sum(size for _, _, size in files), len(files)
        too_much = kept_bytes + more > self._longest_bytes or kept_files >= _MOST_REPLIES
        # Somewhat below the bounds, so that not every reply from now on looks at the whole folder.
        share = _AFTER_TIDYING if too_much else 1.0
        for path, written, size in files:
            old = now - written > self._longest_seconds
            fits = kept_bytes + more <= self._longest_bytes * share and kept_files < _MOST_REPLIES * share
            if fits and not old:
                break
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                path.unlink()
            kept_bytes, kept_files = kept_bytes - size, kept_files - 1
        return kept_bytes, kept_files

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """The kept replies: file, time and size. What a worker that was killed left half written is removed."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _OURS.fullmatch(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(".json"):
                        yield Path(entry.path), found.st_mtime, found.st_size
                    elif self._clock() - found.st_mtime > _ABANDONED_SECONDS:
                        Path(entry.path).unlink()

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def links_end(reply: Any) -> float | None:
    """When the first of a reply's links ends, in seconds since 1970; None where none does.

    Told by `expires_at`, and by what signed URLs say themselves (`X-Amz-Date` and `X-Amz-Expires`, Google's
    likewise), since not every dialect has `expires_at`.
    """
    ends: list[float] = []
    waiting = [reply]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(at := value.get("expires_at"), str):
                with contextlib.suppress(ValueError):
                    ends.append(datetime.fromisoformat(at).timestamp())
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and value.startswith(("https://", "http://")):
            ends += _signed_until(value)
    return min(ends, default=None)


def _signed_until(url: str) -> Iterator[float]:
    with contextlib.suppress(ValueError):
        query = {name.lower(): values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        for vendor in ("amz", "goog"):
            signed, seconds = query.get(f"x-{vendor}-date"), query.get(f"x-{vendor}-expires")
            if signed and seconds:
                yield datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() + float(seconds)


def digest(text: str) -> str:
    """The SHA-256 of an ASCII text, as hex."""
    return hashlib.sha256(text.encode("ascii", "replace")).hexdigest()


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
