"""A workflow run once before the first job, so that its models are loaded by then."""

from __future__ import annotations

import logging
import threading
import time

from engine.cancellation import CancellationToken
from engine.errors import Cancelled, EngineError
from engine.jobs import Runner
from engine.logs import event

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1


class WarmUp:
    """Runs a workflow once, with its first example, for nobody. What goes wrong is a warning and stops nothing.

    Args:
        runner: runs it.
        name: of the workflow.
    """

    def __init__(self, runner: Runner, name: str) -> None:
        self._runner = runner
        self._name = name
        self._lock = threading.Lock()
        self._begun = False
        self._over = threading.Event()

    def __call__(self, cancel: CancellationToken | None = None) -> None:
        """Run it, if it was not begun before: of several threads the first does, and the others wait for it.

        Raises:
            Cancelled: the job that it came before was cancelled.
        """
        cancel = cancel or CancellationToken()
        with self._lock:
            begun, self._begun = self._begun, True
        if begun:
            while not self._over.wait(_LOOK_SECONDS):
                cancel.raise_if_cancelled()
            return
        try:
            self._run(cancel)
        finally:
            self._over.set()

    def _run(self, cancel: CancellationToken) -> None:
        start = time.monotonic()
        try:
            self._runner.rehearse(self._name, cancel=cancel)
        except Cancelled:
            raise
        except EngineError as error:
            event(
                log,
                logging.WARNING,
                "no warm-up",
                workflow=self._name,
                code=error.code,
                error=str(error),
                hint=error.hint,
                detail=error.detail,
                seconds=time.monotonic() - start,
            )
        except Exception:  # noqa: BLE001 - nobody's job: a worker without it works
            event(log, logging.ERROR, "no warm-up", exc_info=True, workflow=self._name)
        else:
            event(log, logging.INFO, "warmed up", workflow=self._name, seconds=time.monotonic() - start)
