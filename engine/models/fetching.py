"""Fetches what is missing: linked where it is there under another name, downloaded where it is not."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.cancellation import CancellationToken
from engine.errors import Cancelled
from engine.models.downloading import Download, Patience
from engine.models.locking import STALE_SECONDS, FileLock
from engine.models.parts import part_of
from engine.models.presence import may_be, place_of
from engine.models.problems import LockLost, ModelProblem, disk_problem
from engine.models.required import RequiredModel
from engine.models.same_files import link, same_file
from engine.models.sites import Sites
from engine.models.space import Space

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Downloads. One alone rarely fills a data centre's line; many make each of them more likely to break off."""

_LOOK_SECONDS = 0.2

_ENDING_SECONDS = 2.0
"""What those under way have to let go of their locks when all is stopped."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one model.

    Attributes:
        model: which.
        outcome: `there`: it was before; `fetched`; `linked`: it was there under another name; `failed`.
        file: where it is now.
        size_bytes: of it.
        sha256: of it, where it was worked out.
        message: why it failed, or what it is linked to.
        hint: what to do about it.
    """

    model: RequiredModel
    outcome: str
    file: Path | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    message: str = ""
    hint: str = ""


class Watcher(Protocol):
    """Is told how it goes, by several threads at once."""

    def moved(self, path: str, size: int, total: int | None) -> None:
        """So many bytes of a model are there, of so many, where that is known."""

    def noted(self, path: str, text: str) -> None:
        """Something worth a line."""

    def ended(self, fetched: Fetched) -> None:
        """It is over."""


@dataclass(frozen=True)
class Fetcher:
    """Fetches models.

    Args:
        folders: each like ComfyUI's `models/`, where models are looked for.
        into: the one where new ones go; it is made where it is missing.
        sites: where from, with which token.
        watcher: is told how it goes.
        caches: of Hugging Face's hub.
        contained: no symbolic link leads out of `into`, which may be moved as a whole.
        at_once: how many downloads.
        patience: how much is put up with.
        stale_seconds: how long a lock of another machine may be untouched.
    """

    folders: list[Path]
    into: Path
    sites: Sites
    watcher: Watcher
    caches: list[Path] = field(default_factory=list)
    contained: bool = False
    at_once: int = AT_ONCE
    patience: Patience = field(default_factory=Patience)
    stale_seconds: float = STALE_SECONDS
    cancel: CancellationToken = field(default_factory=CancellationToken)
    _space: Space = field(default_factory=Space)

    def fetch(self, required: Iterable[RequiredModel]) -> list[Fetched]:
        """Fetch what is missing of some models.

        Returns:
            What became of each, in their order. What fails stops no other.
        """
        models = list(required)
        groups: dict[str, list[RequiredModel]] = {}
        for model in models:
            groups.setdefault(model.sha256 or model.url or model.path, []).append(model)
        waiting: queue.SimpleQueue[list[RequiredModel]] = queue.SimpleQueue()
        for group in groups.values():
            waiting.put(group)
        done: dict[str, Fetched] = {}
        failures: list[Exception] = []
        ended: queue.SimpleQueue[None] = queue.SimpleQueue()

        def work() -> None:
            try:
                with contextlib.suppress(queue.Empty):
                    while not self.cancel.cancelled:
                        self._fetch_group(waiting.get_nowait(), done)
            except Exception as error:  # noqa: BLE001 - of the watcher: raised below
                failures.append(error)
                self.cancel.cancel()
            finally:
                ended.put(None)

        count = min(self.at_once, len(groups))
        running = 0
        try:
            for number in range(count):
                # A daemon: whoever presses Ctrl-C is not to wait for a server.
                threading.Thread(target=work, name=f"fetch-{number}", daemon=True).start()
                running += 1
            # Not joined: a join that is interrupted takes the thread for ended (Python 3.11, threading.py).
            while running:
                ended.get()
                running -= 1
        except BaseException:
            self.cancel.cancel()
            until = time.monotonic() + _ENDING_SECONDS
            with contextlib.suppress(queue.Empty):
                for _ in range(running):
                    ended.get(timeout=max(until - time.monotonic(), 0))
            raise
        if failures:
            raise failures[0]
        stopped = "stopped before it was looked for"
        return [done.get(model.path) or Fetched(model, "failed", message=stopped) for model in models]

    def _fetch_group(self, group: list[RequiredModel], done: dict[str, Fetched]) -> None:
        """Models that are one file: the first is fetched, the others are linked to it."""
        places: list[Path] = [place for model in group if (place := self._place(model))]
        for model in group:
            fetched = self._fetch(model, places)
            if fetched.file and fetched.outcome != "there":
                places.append(fetched.file)
            done[model.path] = fetched
            self.watcher.ended(fetched)

    def _fetch(self, model: RequiredModel, same: list[Path]) -> Fetched:
        try:
            return self._there(model) or self._get(model, same)
        except ModelProblem as problem:
            return Fetched(model, "failed", message=problem.message, hint=problem.hint)
        except Cancelled:
            return Fetched(model, "failed", message="stopped")
        except OSError as error:
            told = disk_problem(error, Path(error.filename or self.into / model.path))
            return Fetched(model, "failed", message=told.message, hint=told.hint)
        except Exception as error:  # whatever one file provokes, the others go on
            log.exception("%s can't be fetched", model.path)
            return Fetched(model, "failed", message=f"{type(error).__name__}, which nobody expected; the log has more")

    def _place(self, model: RequiredModel) -> Path | None:
        return place_of(model, [*self.folders, self.into])

    def _there(self, model: RequiredModel) -> Fetched | None:
        place = self._place(model)
        if place is None:
            return None
        size = place.stat().st_size
        if model.size_bytes is not None and size != model.size_bytes:
            raise ModelProblem(
                f"{place} is there with {size} bytes, the map says {model.size_bytes}",
                "move it away to have it fetched, or correct size_bytes in requires.models",
            )
        return Fetched(model, "there", place, size)

    def _get(self, model: RequiredModel, same: list[Path]) -> Fetched:
        if model.conflict:
            raise ModelProblem(model.conflict, "have the maps say the same")
        if model.url is None and model.sha256 is None:
            raise self._no_url(model)
        target = self.into / model.path
        _make_way(target)
        while True:
            lock = FileLock(target.with_name(f".{target.name}.lock"), stale_seconds=self.stale_seconds)
            if found := self._wait_for(lock, model):
                return found
            try:
                if found := self._there(model):  # another process has just fetched it
                    return found
                return self._linked(model, target, same) or self._download(model, target, lock)
            except LockLost as problem:
                self.watcher.noted(model.path, problem.message)
            finally:
                lock.release()

    def _wait_for(self, lock: FileLock, model: RequiredModel) -> Fetched | None:
        """Get the lock; gives the file instead where another process has fetched it first."""
        told = False
        while not lock.acquire():
            if found := self._there(model):
                return found
            if not told:
                self.watcher.noted(model.path, "another process fetches it; waiting")
                told = True
            self.cancel.wait(_LOOK_SECONDS)
            self.cancel.raise_if_cancelled()
        return None

    def _linked(self, model: RequiredModel, target: Path, same: list[Path]) -> Fetched | None:
        file = same_file(model, same, [*self.folders, self.into], self.caches, self.cancel)
        if file is None and model.sha256 is None and same:
            file = next((file for file in same if may_be(model, file)), None)  # of the same url
        if file is None:
            return None
        made = link(file, target, self.into, contained=self.contained)
        if not made:
            return None
        part = part_of(target)
        for left in (part, part.with_name(f"{part.name}.json")):
            left.unlink(missing_ok=True)
        return Fetched(model, "linked", target, file.stat().st_size, model.sha256, f"{made} to {file}")

    def _download(self, model: RequiredModel, target: Path, lock: FileLock) -> Fetched:
        if model.url is None:
            raise self._no_url(model)
        source = self.sites.source_of(model.url)
        self.watcher.moved(model.path, 0, model.size_bytes)
        self.watcher.noted(model.path, f"comes from {source.host}")
        found = Download(
            model,
            source,
            target,
            lock=lock,
            space=self._space,
            cancel=self.cancel,
            moved=lambda size, total: self.watcher.moved(model.path, size, total),
            noted=lambda text: self.watcher.noted(model.path, text),
            patience=self.patience,
        ).run()
        return Fetched(model, "fetched", target, found.size_bytes, found.sha256)

    def _no_url(self, model: RequiredModel) -> ModelProblem:
        maps = " and ".join(f"schemas/{name}.json" for name in model.workflows)
        return ModelProblem(
            "no map names a url for it",
            f"put the file to {self.into / model.path}, or give its url in requires.models of {maps}",
        )


def _make_way(target: Path) -> None:
    """Make the folder of a file that is not there, if nothing else is in the way."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ModelProblem(
            f"the folder {target.parent} can't be made: a file, or a link that leads nowhere, is in its way",
            "move that away",
        ) from error
    if target.exists() and not target.is_file():
        raise ModelProblem(f"{target} is there, and is no file", "move it away to have the model fetched")
