"""How many jobs a worker has at once: as many as keep ComfyUI busy while one is fetched for and another is stored.

The SDK (runpod 1.12, rp_scale.py) looks for jobs once a second where a worker has all that it may have, and takes as
many at once as it lacks. So what a second and all else between two jobs leave ComfyUI without has to be in the worker
already. No more than that: a job that waits here can't be taken by another worker that is free.

    lost     = what jobs take besides ComfyUI + two round trips to the queue + 1.1 s until the SDK has looked
    long     : the longest execution, of the last 16 jobs or right now, is more than 5 * lost  ->  1 job
    short    : 1 + lost / the mean execution, and a quarter more, below the bounds             ->  so many jobs
    bounds   : JOBS_AT_ONCE, (jobs - 1) * the longest execution <= JOB_HOLD_SECONDS, and 8 for each job that is known
    changes  : where what it has is too few, over a bound, or three times what it needs: each empties the worker once

The mean, since so many jobs are to last for what is lost: where lengths are mixed, the median is now that of the short
ones and now that of the long.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

LOOK_SECONDS = 1.0
"""Between two looks of the SDK's, where the worker has all the jobs that it may have."""
POLL_SECONDS = 0.1
"""The longest until the SDK begins a job that it has taken."""

_RECENT = 16
_SHORT = 5.0
"""An execution of more than this many times what is lost: that is less than a sixth of the time, and not worth it that
a job waits behind another."""
_SPARE = 1.25
_HELD_SPARE = 0.8
_TOO_MANY = 3
_OF_EACH = 8
"""One short job tells little of the next: a new worker does not take all that it may have after it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that ComfyUI has executed.

    Attributes:
        execute_seconds: that it executed.
        besides_seconds: that the job took besides, without any waiting: for its inputs, its graph and its results.
            None where that says nothing of the next, as of one that failed.
    """

    execute_seconds: float
    besides_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far it may go.

    Attributes:
        most: jobs at once.
        hold_seconds: how long a job may have to wait in the worker for those before it.
    """

    most: int = 1
    hold_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of jobs at once.

    Attributes:
        jobs: so many.
        reason: why, in words.
    """

    jobs: int
    reason: str


def choose(
    present: int, ran: Collection[Ran], executing_seconds: Collection[float], round_trip_seconds: float, bounds: Bounds
) -> Choice:
    """How many jobs a worker is to have.

    Args:
        present: how many it may have now, at least 1.
        ran: the last jobs.
        executing_seconds: for how long those have been executing that have not ended.
        round_trip_seconds: of a request to the queue.
        bounds: of the answer.

    Returns:
        The number, from 1 to `bounds.most`; `present` where a change is not worth an idle moment.
    """
    if bounds.most == 1:
        return Choice(1, "it may have no more")
    executions = [each.execute_seconds for each in ran]
    besides = [each.besides_seconds for each in ran if each.besides_seconds is not None]
    if not besides:
        return Choice(1, "it is not known yet how long its jobs take")
    lost = statistics.median(besides) + 2 * round_trip_seconds + LOOK_SECONDS + POLL_SECONDS
    mean, longest = statistics.fmean(executions), max(*executions, *executing_seconds, 0.0)
    if longest > _SHORT * lost:
        return Choice(1, f"a job executes for {longest:.3g} s, and {lost:.3g} s between two are little against that")

    def held(seconds: float) -> float:
        return 1 + seconds // longest if longest else math.inf

    need = lost / mean if mean else math.inf
    most = min(bounds.most, _OF_EACH * len(executions))
    highest = min(most, held(bounds.hold_seconds))
    ample = int(min(most, held(bounds.hold_seconds * _HELD_SPARE), 1 + _up(need * _SPARE)))
    if min(1 + _up(need), ample) <= present <= highest and present < _TOO_MANY * ample:
        return Choice(present, "it has what it needs")
    return Choice(ample, f"a job executes for {mean:.3g} s, and {lost:.3g} s between two would be lost")


def _up(number: float) -> float:
    return math.ceil(number) if math.isfinite(number) else number


class Intake:
    """Knows of the jobs of a worker what `choose` wants to know. Safe to use from several threads.

    The first job loads models and opens connections. It is no measure of the others, but as a rule they take no longer
    on ComfyUI: so it counts until another has run, with nothing that it took besides.

    Args:
        bounds: of the number.
        clock: seconds that only grow.

    Attributes:
        jobs: how many the worker has at once; whoever takes them says so.
    """

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self.jobs = 1
        self._bounds = bounds
        self._clock = clock
        self._lock = threading.Lock()
        self._first: Ran | None = None
        self._ran: deque[Ran] = deque(maxlen=_RECENT)
        self._posts: deque[float] = deque(maxlen=_RECENT)
        self._executing: dict[object, float] = {}

    def executes(self, job: object) -> None:
        """ComfyUI executes it; may be said again and again."""
        with self._lock:
            self._executing.setdefault(job, self._clock())

    def ended(self, job: object, ran: Ran | None) -> None:
        """ComfyUI does not execute it any more.

        Args:
            job: as it was said to execute.
            ran: what it took, once it is answered; None for one that says nothing.
        """
        with self._lock:
            self._executing.pop(job, None)
            if ran is None:
                return
            if self._first is None:
                self._first = ran if ran.besides_seconds is None else replace(ran, besides_seconds=0.0)
            else:
                self._ran.append(ran)

    def executing_seconds(self, job: object) -> float | None:
        """For how long it has been executing; None where it does not."""
        with self._lock:
            begun = self._executing.get(job)
            return None if begun is None else self._clock() - begun

    def posted(self, seconds: float) -> None:
        """A reply took so long to reach the queue."""
        with self._lock:
            self._posts.append(seconds)

    def choose(self, present: int) -> Choice:
        """How many jobs the worker is to have, where it may have so many now."""
        with self._lock:
            now = self._clock()
            executing = [now - begun for begun in self._executing.values()]
            round_trip = statistics.median(self._posts) if self._posts else 0.0
            ran = tuple(self._ran) or ((self._first,) if self._first else ())
            return choose(present, ran, executing, round_trip, self._bounds)
