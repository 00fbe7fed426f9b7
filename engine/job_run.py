"""One job under way: what its steps share."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.cancellation import CancellationToken, unless_cancelled
from engine.comfy_contract import OnProgress, Space
from engine.delivery import Delivery
from engine.job import Job
from engine.plans import Plan
from engine.results import InputFile, Progress


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
        files: what was fetched for it, by where it is used.
        furthest: how far it ever was, from 0 to 1.
    """

    job: Job
    plan: Plan
    delivery: Delivery
    folder: Path
    cancel: CancellationToken
    on_progress: OnProgress | None
    files: Mapping[str, InputFile] = field(default_factory=dict)
    furthest: float = 0.0

    @property
    def values(self) -> dict[str, Any]:
        """As results report them: files by their names alone."""
        return self.plan.values({where: file.filename for where, file in self.files.items()})

    def tell(self, progress: Progress) -> None:
        """Hand on how far it is; a further try begins where this one was left, so that it never goes back."""
        self.furthest = progress.fraction
        if self.on_progress is not None:
            self.on_progress(progress)

    def placed(self, space: Space) -> dict[str, str]:
        """Put the files where ComfyUI finds them, each once; gives what it knows them by."""
        known: dict[Path, str] = {}
        for file in self.files.values():
            self.cancel.raise_if_cancelled()
            if file.path not in known:
                add = functools.partial(space.add, file.path, file.filename)
                known[file.path] = unless_cancelled(add, self.cancel)
        return {where: known[file.path] for where, file in self.files.items()}
