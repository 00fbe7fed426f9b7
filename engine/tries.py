"""How often one job is run when ComfyUI is gone under it."""

from __future__ import annotations

import logging

from engine.comfyui import ComfyStopped, ResultGone, new_prompt_id
from engine.errors import ComfyUnavailable, OutOfMemory
from engine.logs import event

log = logging.getLogger(__name__)

_RUNS = 2
_OTHERS = 2


class Tries:
    """Counts the tries of one job.

    A job that had begun when ComfyUI stopped may be what stopped it: it is run once more and no further. One that had
    not begun yet was only in the way, and gets more chances.

    Args:
        prompt_id: of the first try; ComfyUI may still know it, so that each further one gets another.

    Attributes:
        anew: ComfyUI took the job for cached whose files were deleted: its output nodes have to run in any case.
        warnings: what the caller is told of it.
    """

    def __init__(self, prompt_id: str) -> None:
        self._prompt_id: str | None = prompt_id
        self._began = self._others = 0
        self._last: ComfyUnavailable | ResultGone | None = None
        self.anew = False
        self.warnings: list[str] = []

    def prompt_id(self) -> str:
        """An id for the next try."""
        prompt_id, self._prompt_id = self._prompt_id, None
        return prompt_id or new_prompt_id()

    def count(self, error: ComfyUnavailable | ResultGone) -> None:
        """Count a try that failed for that.

        Raises:
            EngineError: the error, or what it amounts to, where there is to be no further try.
        """
        if isinstance(error, ResultGone):
            if self.anew:
                raise error
            self.anew = True
        elif isinstance(error, ComfyStopped) and error.began:
            self._began += 1
            if self._began >= _RUNS:
                raise _for_good(error) from error
            self.warnings = ["ComfyUI stopped while it ran the job, and the job was run again"]
        else:
            self._others += 1
            if self._others > _OTHERS:
                raise error
        self._last = error
        event(log, logging.WARNING, "the job is tried again", reason=error.message, detail=error.detail)

    def left_alone(self, error: ComfyUnavailable) -> ComfyUnavailable:
        """What to say where no ComfyUI came for the next try: also where the last one left the job.

        Args:
            error: why none came.
        """
        if not isinstance(self._last, ComfyStopped):
            return error
        told = f"{self._last.message}, and did not come back: {error.message}"
        detail = "\n".join(each for each in (self._last.detail, error.detail) if each)
        return ComfyUnavailable(told, hint=error.hint, detail=detail or None)


def _for_good(error: ComfyStopped) -> ComfyUnavailable | OutOfMemory:
    if error.crash is not None and error.crash.out_of_memory:
        return OutOfMemory(
            f"{error.message}, twice",
            hint="ask for a smaller size, fewer frames or a smaller batch, or use a machine with more memory",
            detail=error.detail,
        )
    return ComfyStopped(f"{error.message}, twice", crash=error.crash, hint=error.hint, detail=error.detail)
