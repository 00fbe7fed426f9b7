"""The account of one job: a line in the log when it is taken, one when it ends, and its place in the tally."""

from __future__ import annotations

import logging
import time
from typing import Any

from engine.errors import Cancelled, EngineError, GraphRejected, RequestError, node_name
from engine.intake import Intake, Ran
from engine.logs import event
from engine.results import JobResult, Progress
from engine.tally import LastError, Tally, now
from engine.timings import Timings

log = logging.getLogger(__name__)

_LISTED_PARAMETERS = 10


class Account:
    """What happened to one job. Nothing of the payload is told: prompts are private.

    Args:
        tally: counts it.
        intake: is told how long it took.
        job_id: the platform's, or a caller's.
    """

    def __init__(self, tally: Tally, intake: Intake, job_id: str) -> None:
        self._tally = tally
        self._intake = intake
        self._job_id = job_id
        self._start = time.monotonic()
        self._facts: dict[str, Any] = {}
        self._timings: Timings | None = None
        self._node: str | None = None
        self._environment: str | None = None
        self._own_graph = False
        self._counted = True
        tally.begun()

    def taken(self, action: str, *, own_graph: bool = False) -> None:
        """The request was read.

        Args:
            action: what it asks for.
            own_graph: it brings a graph, whose faults are its caller's then.
        """
        self._own_graph = own_graph
        if action != "run":
            self._counted = False
            self._tally.uncounted()
        event(log, logging.INFO, "job taken", action=action)

    def runs_in(self, environment: str | None) -> None:
        """It has its turn in that environment; None for a ComfyUI that is none."""
        self._environment = environment

    def times(self, timings: Timings) -> None:
        """Whatever its end, it is told with these."""
        self._timings = timings

    def at(self, progress: Progress) -> None:
        """It is there; where it does not end well, it is told which node ran."""
        if progress.fraction < 1:
            self._intake.executes(self)
        else:  # its results are on their way
            self._intake.ended(self, None)
        # Without its title, which in a graph of the caller's own is the caller's.
        self._node = node_name(progress.node_class or "", progress.node_id) if progress.node_id else None

    def made(self, result: JobResult) -> None:
        """It has results."""
        self._facts = {
            "outputs": len(result.outputs),
            "bytes": sum(output.file.size_bytes for output in result.outputs),
            "warnings": len(result.warnings) or None,
            "tries": len(result.quality.tries) if result.quality and len(result.quality.tries) > 1 else None,
        }

    def done(self) -> None:
        """It ended well."""
        if self._counted:
            self._tally.done()
        self._intake.ended(self, self._timings.ran() if self._timings else None)
        event(log, logging.INFO, "job done", **self._facts, **self._circumstances())

    def cancelled(self, error: Cancelled) -> None:
        """It was cancelled."""
        if self._counted:
            self._tally.cancelled()
        self._left()
        event(log, logging.INFO, "job cancelled", reason=error.message, node=self._node, **self._circumstances())

    def failed(self, error: EngineError, *, unexpected: bool = False) -> None:
        """It failed.

        Args:
            error: as its caller is told.
            unexpected: the exception that is being handled is another, and its traceback is wanted.
        """
        its_callers = isinstance(error, RequestError) or (self._own_graph and isinstance(error, GraphRejected))
        last = None if its_callers else LastError(error.code, error.message, self._job_id, now())
        if self._counted:
            self._tally.failed(error.code, last=last)
        self._left()
        level = logging.WARNING if its_callers else logging.ERROR
        told = {"parameters": _places(error)} if its_callers and error.problems else {"error": error.message}
        facts = {
            **told,
            "node": self._node,
            "retryable": error.retryable,
            **self._facts,
            **self._circumstances(),
            "detail": error.detail,
        }
        event(log, level, "job failed", exc_info=unexpected, code=error.code, **facts)

    def _left(self) -> None:
        """It has no result; ComfyUI may have been at it for long all the same."""
        seconds = self._intake.executing_seconds(self)
        self._intake.ended(self, None if seconds is None else Ran(seconds))

    def _circumstances(self) -> dict[str, Any]:
        where = {"environment": self._environment}
        if self._timings is None:
            return {**where, "total": time.monotonic() - self._start}
        return {**where, **self._timings.total(), "retries": self._timings.retries or None}


def _places(error: EngineError) -> str:
    """Where the problems are; what they say may quote the payload."""
    places = list(dict.fromkeys(problem.where for problem in error.problems if problem.where))
    more = len(places) - _LISTED_PARAMETERS
    return ", ".join(places[:_LISTED_PARAMETERS]) + (f" and {more} more" if more > 0 else "")
