"""A queue on this machine's disk, and the workers that empty it: what the local server has in place of RunPod's.

SQLite of the standard library, since what there is of embedded queues for Python (huey, persist-queue, litequeue) can
either not cancel a job that runs, or not say how far it is, and keeps no history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from engine.cancellation import CancellationToken
from engine.comfy_contract import OnProgress
from engine.local_queue.records import Counts, JobRecord, JobState, StoredFile, Submission

__all__ = ["Answer", "Counts", "JobRecord", "JobState", "LocalQueue", "StoredFile", "Submission"]


class Answer(Protocol):
    """Does what a request says, on one ComfyUI; `engine.envelope.answer` with a runner."""

    def __call__(
        self, job_id: str, submission: Submission, cancel: CancellationToken, on_progress: OnProgress
    ) -> dict[str, Any]:
        """The reply; raises `Cancelled` alone."""


class LocalQueue:
    """Jobs, in the order they came: taken, kept on disk, run, and told of. Safe to use from several threads.

    Args:
        folder: where it is kept; one process at a time has it.
        workers: one for each ComfyUI; each runs a job at a time.
        most_waiting: jobs that may wait.
        most_kept: finished jobs that are remembered.

    Raises:
        SettingsError: the folder can't be written to, or another process has it.
    """

    def __init__(self, folder: Path, workers: Sequence[Answer], *, most_waiting: int, most_kept: int) -> None:
        raise NotImplementedError

    def submit(self, submission: Submission) -> JobRecord:
        """Take a job; it is on disk when this returns.

        Raises:
            QueueFull: too many wait.
        """
        raise NotImplementedError

    def get(self, job_id: str) -> JobRecord:
        """How a job stands.

        Raises:
            UnknownJob: there is none of that id.
        """
        raise NotImplementedError

    def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job; one that has ended stays as it is.

        One that runs is CANCELLED at once, and its ComfyUI lets go of it soon.

        Raises:
            UnknownJob: there is none of that id.
        """
        raise NotImplementedError

    def purge(self) -> int:
        """Cancel all that wait; gives how many."""
        raise NotImplementedError

    def counts(self) -> Counts:
        """How the queue stands."""
        raise NotImplementedError

    def history(
        self,
        *,
        search: str = "",
        workflow: str = "",
        states: Sequence[JobState] = (),
        before: str = "",
        limit: int = 50,
    ) -> tuple[list[JobRecord], str | None]:
        """Jobs, the newest first.

        Args:
            search: words that its workflow's name, its input or its values hold, in any case.
            workflow: its name.
            states: any of these; empty for all.
            before: from the answer before, to go on.
            limit: at most so many.

        Returns:
            The jobs, and what to go on with; None where there are no more.
        """
        raise NotImplementedError

    def forget(self, job_id: str) -> None:
        """Drop a job that has ended, with its files.

        Raises:
            UnknownJob: there is none of that id.
            JobNotOver: it waits or runs.
        """
        raise NotImplementedError

    def watch(self, job_id: str, on_change: Callable[[JobRecord], None]) -> AbstractContextManager[JobRecord]:
        """Be told of each change of a job, progress included, within the block; from any thread, in order.

        Returns:
            How it stands at the start.

        Raises:
            UnknownJob: there is none of that id.
        """
        raise NotImplementedError

    def keep_file(self, job_id: str, path: Path, content_type: str) -> int:
        """Know of a result of a job that runs; gives its number among the job's."""
        raise NotImplementedError

    def file(self, job_id: str, number: int) -> StoredFile:
        """A result of a job.

        Raises:
            UnknownJob: there is no such job or file.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Take no more and let go of the disk; jobs that run were seen to before (`stop`)."""
        raise NotImplementedError

    def stop(self, drain_seconds: float) -> None:
        """End: jobs that run may finish for so long, then they are interrupted and wait again for the next start."""
        raise NotImplementedError


Shown = Mapping[str, Any]
