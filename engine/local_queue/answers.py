"""What does the work of a job."""

from __future__ import annotations

from typing import Any, Protocol

from engine.cancellation import CancellationToken
from engine.comfy_contract import OnProgress
from engine.local_queue.records import Submission


class Answer(Protocol):
    """Does what a request says, on one ComfyUI; `engine.local_queue.answering.RunnerAnswer` with a runner."""

    def __call__(
        self, job_id: str, submission: Submission, cancel: CancellationToken, on_progress: OnProgress
    ) -> dict[str, Any]:
        """The reply; raises `Cancelled` alone."""
