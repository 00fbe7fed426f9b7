"""How it goes, on stderr: bars on a terminal, else lines that read well in the log of a build."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.commands.output import print_note
from engine.models.space import size_text

if TYPE_CHECKING:
    from engine.models.fetching import Fetched

Result: TypeAlias = "Callable[[Fetched], None]"

_LINE_SECONDS = 10.0
"""Between two lines of one file that say how far it is."""


class Lines:
    """A line where something happens, and every ten seconds for each file under way.

    Args:
        result: is given what became of a file as soon as it is over, to be printed.
        line_seconds: between two lines of one file.
    """

    def __init__(self, result: Result, line_seconds: float = _LINE_SECONDS) -> None:
        self._result = result
        self._line_seconds = line_seconds
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def moved(self, path: str, size: int, total: int | None) -> None:
        """So much of a file is there, or was read."""
        now = time.monotonic()
        with self._lock:
            before = self._told.setdefault(path, (now, size))
            if now - before[0] < self._line_seconds:
                return
            self._told[path] = (now, size)
        rate = max(size - before[1], 0) / (now - before[0])
        far = f"{size_text(size)} of {size_text(total)}, {size * 100 // total} %" if total else size_text(size)
        print_note(f"{path}: {far}, {size_text(round(rate))}/s")

    def noted(self, path: str, text: str) -> None:
        """Something worth a line."""
        print_note(f"{path}: {text}")

    def ended(self, fetched: Fetched) -> None:
        """It is over."""
        with self._lock:
            self._result(fetched)


class Bars:
    """A bar for each file under way.

    Args:
        progress: of rich, shown.
    """

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self.over: list[Fetched] = []
        self._lock = threading.Lock()
        self._tasks: dict[str, Any] = {}

    def moved(self, path: str, size: int, total: int | None) -> None:
        """So much of a file is there, or was read."""
        with self._lock:
            if path not in self._tasks:
                self._tasks[path] = self._progress.add_task(path, total=total)
            self._progress.update(self._tasks[path], completed=size, total=total)

    def noted(self, path: str, text: str) -> None:
        """Something worth a line, above the bars."""
        self._progress.console.print(f"{path}: {text}", markup=False, highlight=False, soft_wrap=True)

    def ended(self, fetched: Fetched) -> None:
        """It is over: its bar goes."""
        with self._lock:
            self.over.append(fetched)
            if (task := self._tasks.pop(fetched.model.path, None)) is not None:
                self._progress.remove_task(task)


@contextmanager
def shown(result: Result = lambda _: None) -> Iterator[Lines | Bars]:
    """What to tell how it goes.

    Args:
        result: is given what became of each file, to be printed: at once, or when the bars are gone.
    """
    if not sys.stderr.isatty():
        yield Lines(result)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False, transient=True) as progress:
        bars = Bars(progress)
        yield bars
    for each in bars.over:
        result(each)
