"""What every place for results can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.results import OutputFile, StoredOutput


class Storage(Protocol):
    """A place for the results of a job. One serves all jobs of the process, from several threads at once."""

    @property
    def name(self) -> str:
        """A word for logs and for `engine settings`: `s3`, `inline`, `directory`."""
        ...

    def put(self, outputs: Sequence[OutputFile], *, workflow: str, job_id: str) -> list[StoredOutput]:
        """Stores the results of one job: all of them, or it raises.

        An output without a file (a text) is not stored: its text travels in the result itself.

        Args:
            outputs: what the job made. The files stay where they are; who made them removes them.
            workflow: the workflow's name.
            job_id: the job's id.

        Returns:
            One stored output for each output, in the same order.

        Raises:
            ResultTooLarge: the place has a limit, and the results are above it.
            StorageError: the results could not be stored.
        """
        ...
