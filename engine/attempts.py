"""The tries of one job: a result that the workflow's quality gates refuse is made anew, with other seeds.

Not to be taken for `engine.tries`, which counts how often ComfyUI was gone under one of them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.errors import Cancelled, EngineError, ExecutionTimeout, OutOfMemory, Problem, QualityRejected
from engine.gates import Gate
from engine.job_run import JobRun
from engine.judging import judge
from engine.logs import event
from engine.making import Made
from engine.verdicts import JudgedTry, QualityReport, in_words

log = logging.getLogger(__name__)

_DRAWS = 100
"""How often seeds are drawn until they are none that were tried. Only one of a small range needs a second draw."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The result that is returned.

    Attributes:
        made: the result.
        quality: how it was judged, and the others; None where no quality gate applied.
        warnings: what its caller is told of that.
    """

    made: Made
    quality: QualityReport | None = None
    warnings: tuple[str, ...] = ()


@contextlib.contextmanager
def chosen(run: JobRun, make: Callable[[JobRun], Made]) -> Iterator[Chosen]:
    """The result of a job that is to be stored; its files stay until the block ends, those of all others are gone.

    Args:
        run: the job.
        make: makes one result of the values that the plan has.

    Raises:
        QualityRejected: no result passed the quality gates, and the map says `"otherwise": "fail"`.
        EngineError: there is no result.
    """
    gates = () if run.job.discard else run.plan.applying_gates(job_id=run.job.id)
    with contextlib.ExitStack() as kept:
        if gates:
            yield _Attempts(run, make, gates, kept).chosen()
        else:
            made = make(run)
            kept.push(made.space)
            idle = run.job.retries is not None and not run.plan.gates.entries
            yield Chosen(made, warnings=(_NOTHING_TO_RETRY,) if idle else ())


_NOTHING_TO_RETRY = "retries had no effect: the workflow has no checks that a result could fail"


class _NoOtherSeed(Exception):
    """All seeds of a small range were tried."""


class _Attempts:
    """The tries of a job that has quality gates.

    Args:
        run: the job.
        make: makes one result.
        gates: those that apply.
        kept: gets the place in ComfyUI's folders of the best result so far.
    """

    def __init__(
        self, run: JobRun, make: Callable[[JobRun], Made], gates: Sequence[Gate], kept: contextlib.ExitStack
    ) -> None:
        self._run, self._make, self._gates, self._kept = run, make, gates, kept
        plan, asked = run.plan, run.job.retries
        # A seed of the caller's own is not changed unless the request allows further tries.
        self._seeds = tuple(plan.seeds if asked is not None else plan.open_seeds)
        retries = plan.gates.retries if asked is None else min(asked, plan.gates.retries)
        self._most = 1 + (retries if self._seeds else 0)
        self._judged: list[JudgedTry] = []
        self._best: tuple[JudgedTry, Made]

    def chosen(self) -> Chosen:
        """Try until a result passes, or there is to be no further try."""
        error: EngineError | None = None
        made = self._try()
        while (why_no_more := self._why_no_more(made)) is None:
            try:
                self._draw()
                made = self._try()
            except _NoOtherSeed:
                why_no_more = f"{self._next} was not begun: there is no other seed to be drawn"
                break
            except Cancelled:
                raise
            except Exception as trouble:  # noqa: BLE001 - whatever it is, the result that there is outlives it
                error = _worded(trouble)
                why_no_more = f"{self._next} ended in an error: {error.message}"
                if isinstance(error, ExecutionTimeout):
                    why_no_more += f", which was left of the {self._run.longest_seconds:g} s that the job may run"
                event(log, logging.WARNING, "a further try failed", code=error.code, error=error.message)
                break
        best, made = self._best
        said = "" if best.accepted else self._said(best)
        if said and self._run.plan.gates.otherwise == "fail":
            raise self._refusal(said, why_no_more) from error
        self._run.finish()
        warnings = tuple(each for each in (said, why_no_more) if each)
        return Chosen(made, QualityReport(best, tuple(self._judged)), warnings)

    @property
    def _next(self) -> str:
        return f"try {len(self._judged) + 1} of {self._most}"

    def _try(self) -> Made:
        """Make one result, judge it, and keep it where it is the best so far."""
        run, number = self._run, len(self._judged) + 1
        run.begin(number, may_go_on=number < self._most)
        made = self._make(run)
        with contextlib.ExitStack() as space:
            space.push(made.space)  # whatever happens from here on, it is closed
            with run.job.timings.measure("judge"):
                scores = judge(self._gates, made.outputs, run.files, run.cancel)
            judged = JudgedTry(number, run.plan.seeds, scores)
            if not self._judged or judged.rank < self._best[0].rank:
                self._kept.close()
                self._kept.push(space.pop_all())
                self._best = judged, made
            self._judged.append(judged)
        if not judged.accepted:
            failed = in_words(judged.failed)
            event(log, logging.INFO, "a result was refused", attempt=number, most=self._most, scores=failed)
        return made

    def _why_no_more(self, made: Made) -> str | None:
        """Why there is no further try: empty where there is nothing to say of it; None where there may be one."""
        run = self._run
        if self._judged[-1].accepted:
            return ""
        if len(self._judged) >= self._most:
            is_own = not self._seeds and run.job.retries is None and run.plan.seeds and run.plan.gates.retries
            return (
                "it was not made anew, since the seed is your own: `retries` in the request allows it" if is_own else ""
            )
        if run.left_seconds < made.execute_seconds:
            return (
                f"{self._next} was not begun: the job may run for {run.longest_seconds:g} s, "
                f"{run.left_seconds:.1f} s of it are left, and the last try took {made.execute_seconds:.1f} s"
            )
        return None

    def _draw(self) -> None:
        """Draw seeds that were not tried yet.

        Raises:
            _NoOtherSeed: there seem to be none.
            InvalidPayload: a rule of the workflow refuses what was drawn.
        """
        tried = [judged.values for judged in self._judged]
        for _ in range(_DRAWS):
            self._run.plan.draw(self._seeds)
            if self._run.plan.seeds not in tried:
                return
        raise _NoOtherSeed

    def _said(self, best: JudgedTry) -> str:
        failed = in_words(best.failed)
        if len(self._judged) == 1:
            return f"the result did not pass the quality checks: {failed}"
        return (
            f"no result passed the quality checks in {len(self._judged)} tries; the best is try {best.number}: {failed}"
        )

    def _refusal(self, said: str, why_no_more: str | None) -> QualityRejected:
        problems = [
            Problem(score.picture, f"try {judged.number}: {score}" + (" (passed)" if score.passed else ""))
            for judged in self._judged
            for score in judged.scores
        ]
        if self._seeds:
            hint = "send it again: it is made with other seeds then; or ask for something else"
        elif self._run.plan.seeds:
            hint = "the same seed gives the same result: send another, or none, or allow further tries with `retries`"
        else:
            hint = "the same payload gives the same result: ask for something else"
        return QualityRejected(
            "; ".join(each for each in (said, why_no_more) if each),
            problems=problems,
            hint=hint,
            retryable=bool(self._seeds),
        )


def _worded(trouble: Exception) -> EngineError:
    if isinstance(trouble, EngineError):
        return trouble
    if isinstance(trouble, MemoryError):
        return OutOfMemory("the worker itself ran out of memory")
    # As the edge of a worker does: what it is goes to the log alone, with where it came from.
    log.error("a further try failed for a reason that was not foreseen", exc_info=trouble)
    return EngineError("something went wrong in the worker that was not foreseen; its log says more")
