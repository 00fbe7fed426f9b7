"""What every place for results can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.results import OutputFile, StoredOutput


class Storage(Protocol):
    """A place for the results of a job. One serves all jobs of the process, from several threads at once."""

    @property
    def name(self) -> str:
        """A word for logs and for `engine settings`: `s3`, `inline`, `directory`."""
        ...

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
    ) -> list[StoredOutput]:
        """Stores the results of one job: all of them, or it raises.

        An output without a file (a text) is not stored: its text travels in the result itself.

        Args:
            outputs: what the job made. The files stay where they are; who made them removes them.
            naming: what names can be made of.
            delivery: how they are to be delivered.
            cancel: looked at all the time: what has not begun then does not begin, what is under way ends, and what was
                stored is removed where it may be.

        Returns:
            One stored output for each output, in the same order.

        Raises:
            Cancelled: the job was cancelled.
            ResultTooLarge: the place has a limit, and the results are above it.
            StorageError: the results could not be stored.
        """
        ...
