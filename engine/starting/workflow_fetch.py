"""Git repositories of workflows are asked while the worker starts, beside ComfyUI."""

from __future__ import annotations

import logging
import threading

from engine.catalog import Catalog
from engine.logs import event
from engine.settings import Settings
from engine.workflow_folders import fetched_folders, kept_folders, repositories_in

log = logging.getLogger(__name__)


class WorkflowFetch:
    """Has the workflows of repositories, in a thread of its own. What can't be had stops nothing.

    Args:
        settings: say which repositories, and how long they may take.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog = Catalog(kept_folders(settings), only=settings.workflows)
        self._thread: threading.Thread | None = None
        if repositories_in(settings.workflows_path):
            self._thread = threading.Thread(target=self._fetch, name="repositories", daemon=True)
            self._thread.start()

    @property
    def catalog(self) -> Catalog:
        """The workflows; of repositories first the last copies, and once `wait` is over those of now."""
        return self._catalog

    @property
    def has_any(self) -> bool:
        """Whether there are repositories at all."""
        return self._thread is not None

    def wait(self) -> None:
        """Wait until the catalog has what there is now; as long as WORKFLOWS_FETCH_SECONDS allows."""
        if self._thread:
            self._thread.join()

    def _fetch(self) -> None:
        try:
            self._catalog.use(fetched_folders(self._settings))
        except Exception:  # the copies serve, and what is missing is told all the same
            log.exception("repositories of workflows can't be read")
        for trouble in self._catalog.troubles():
            event(log, logging.WARNING, "a repository of workflows", reason=trouble)
