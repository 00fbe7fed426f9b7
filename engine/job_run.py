"""One job under way: what its steps share."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken, unless_cancelled
from engine.comfy_contract import OnProgress, Space
from engine.delivery import Delivery
from engine.job import Job
from engine.plans import Plan
from engine.results import InputFile, Progress

_SHARE = 0.8
"""How much of what is left of the progress a try takes that may be followed by another: mostly it is the last."""


@dataclass(slots=True)
class JobRun:
    """A job under way.

    Attributes:
        job: what was asked for.
        plan: what it comes to.
        delivery: how the results are wanted.
        folder: its own, on this machine, for as long as it runs.
        cancel: asks it to stop.
        on_progress: is told how far it is.
        longest_seconds: that ComfyUI may execute it, all tries together.
        files: what was fetched for it, by where it is used.
        attempt: which try it is at; the first is 1.
        may_go_on: whether another may follow this one.
        reached: how far this try ever was, from 0 to 1.
        executed_seconds: of the tries that came to their end.
        queued_seconds: that those waited in ComfyUI's queue.
    """

    job: Job
    plan: Plan
    delivery: Delivery
    folder: Path
    cancel: CancellationToken
    on_progress: OnProgress | None
    longest_seconds: float
    files: Mapping[str, InputFile] = field(default_factory=dict)
    attempt: int = 1
    may_go_on: bool = False
    reached: float = 0.0
    executed_seconds: float = 0.0
    queued_seconds: float = 0.0
    _told: float = 0.0
    _sent: dict[Path, str] = field(default_factory=dict)
    _has_results: bool = False
    _span: tuple[float, float] = (0.0, 1.0)

    @property
    def values(self) -> dict[str, Any]:
        """As results report them: files by their names alone."""
        return self.plan.values({where: file.filename for where, file in self.files.items()})

    @property
    def left_seconds(self) -> float:
        """That ComfyUI may still execute it."""
        return self.longest_seconds - self.executed_seconds

    def begin(self, attempt: int, *, may_go_on: bool) -> None:
        """A try begins.

        Args:
            attempt: which.
            may_go_on: whether another may follow; it leaves that one a part of the progress.
        """
        self.attempt, self.may_go_on, self.reached = attempt, may_go_on, 0.0
        low = self._told
        self._span = (low, low + (1 - low) * _SHARE if may_go_on else 1.0)

    def finish(self) -> None:
        """No further try follows."""
        self._span = (self._told, 1.0)
        if self._told < 1.0:
            self.tell(Progress(None, None, 0, 0, 1.0))

    def tell(self, progress: Progress) -> None:
        """Hand on how far it is; a further try begins where this one was left, so that it never goes back."""
        self.reached = progress.fraction
        low, high = self._span
        self._told = low + (high - low) * progress.fraction
        if self.on_progress is not None:
            self.on_progress(replace(progress, fraction=self._told, attempt=self.attempt))

    def folder_for(self, prompt_id: str) -> Path:
        """Where the files of one run go: the job's own folder for the first, as most have no other."""
        first, self._has_results = not self._has_results, True
        folder = self.folder if first else self.folder / prompt_id
        folder.mkdir(exist_ok=True)
        return folder

    def place_anew(self) -> None:
        """ComfyUI was gone, and may have lost the files."""
        self._sent.clear()

    def placed(self, space: Space) -> dict[str, str]:
        """Put the files where ComfyUI finds them, each once; gives what it knows them by.

        What was sent to a ComfyUI whose disk is not ours stays there, also for the tries to come.
        """
        known = self._sent if space.keeps_inputs else {}
        for file in self.files.values():
            self.cancel.raise_if_cancelled()
            if file.path not in known:
                add = functools.partial(space.add, file.path, file.filename)
                known[file.path] = unless_cancelled(add, self.cancel)
        return {where: known[file.path] for where, file in self.files.items()}
