"""A runner as what does the work of the queue's jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from engine.cancellation import CancellationToken
from engine.comfy_contract import OnProgress
from engine.envelope import answer
from engine.errors import Cancelled, EngineError
from engine.jobs import Runner
from engine.local_queue.records import Submission
from engine.logs import event
from engine.replies import failure_reply

log = logging.getLogger(__name__)

Prepare = Callable[[Any], Any]
"""Makes of a job's input the one that is run, such as one in which the names of uploads have become the files.

What it gives is neither kept nor shown. It may raise `EngineError`, which is then the job's failure.
"""


class RunnerAnswer:
    """Answers jobs with a runner, as a worker on RunPod answers them.

    Args:
        runner: runs them.
        prepare: see `Prepare`; left out, the input is run as it was sent.
        before_first: done before each job that runs something, such as fetching models; it has to see for itself that
            it is done once.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        prepare: Prepare | None = None,
        before_first: Callable[[CancellationToken], None] | None = None,
    ) -> None:
        self._runner = runner
        self._prepare = prepare
        self._before_first = before_first

    def __call__(
        self, job_id: str, submission: Submission, cancel: CancellationToken, on_progress: OnProgress
    ) -> dict[str, Any]:
        """The reply; a failure is one, too. Files of this machine can't be named.

        Raises:
            Cancelled: it was asked to stop.
        """
        try:
            if self._before_first and self._runs_here(submission.input):
                self._before_first(cancel)
            document = self._prepare(submission.input) if self._prepare else submission.input
            return answer(
                document,
                self._runner,
                job_id=job_id,
                cancel=cancel,
                on_progress=on_progress,
                allow_files=False,
                s3_config=submission.s3_config,
            )
        except Cancelled:
            raise
        except EngineError as error:
            return failure_reply(error)
        except BaseException:  # noqa: BLE001 - as of the worker: the server lives on, and nothing inner goes out
            event(log, logging.CRITICAL, "a job failed outside its account", exc_info=True, job_id=job_id)
            return failure_reply(EngineError(hint="ask the operator, who finds the cause in the log"))

    def _runs_here(self, request: Any) -> bool:
        """Whether it needs the ComfyUI of the settings; a request that is wrong counts as one that does."""
        if not isinstance(request, dict):
            return True
        own = self._runner.settings.version_id
        return request.get("action") in (None, "run") and request.get("version_id") in (None, own)
