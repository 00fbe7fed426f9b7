"""What a ComfyUI of ours prints: kept in a file, of which the end matters when it stops."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import BinaryIO

_LONGEST_BYTES = 20_000_000
_TAIL_BYTES, _TAIL_LINES = 32_768, 30
_TRACEBACK = ("Traceback (most recent call last)", "Fatal Python error")
# tqdm, of which ComfyUI's samplers print hundreds: ` 35%|███▌      | 7/20 [00:03<00:06,  2.10it/s]`
_PROGRESS_BAR = re.compile(r"^.*\d+%\|.*\|\s*\d+/\d+ \[.*$")


class ProcessLog:
    """The log file of one process, through its restarts.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def begin(self) -> BinaryIO:
        """The file to print to, for a process that is about to start; an old one that is long is put aside.

        Raises:
            OSError: it can't be written to.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            if self.path.stat().st_size > _LONGEST_BYTES:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        log = self.path.open("ab")
        self._start = log.tell()
        return log

    def printed(self) -> str:
        """All that the process has printed since it was started; empty where that can't be read."""
        with contextlib.suppress(OSError), self.path.open("rb") as log:
            log.seek(self._start)
            return log.read(_LONGEST_BYTES).decode(errors="replace")
        return ""

    def telling(self) -> str:
        """The last lines of the process that matter: its last traceback, or the end without progress bars."""
        with contextlib.suppress(OSError), self.path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._start, size - _TAIL_BYTES))
            return telling_lines(log.read().decode(errors="replace"))
        return ""


def telling_lines(text: str) -> str:
    """What matters of the end of a log.

    Args:
        text: the end of the log, as it was printed.
    """
    # A progress bar prints itself over and over on one line.
    lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    lines = [line for line in lines if line and not _PROGRESS_BAR.match(line)]
    failed = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    kept = lines[-_TAIL_LINES:]
    if failed and failed[-1] < len(lines) - _TAIL_LINES:
        kept = [*lines[failed[-1] : failed[-1] + _TAIL_LINES], "…", *lines[-3:]]
    return "\n".join(kept)
