"""MODELS_FETCH=start: what the workflows need and the worker lacks is fetched while it starts."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.logs import event
from engine.model_folders import folder_for_new, model_folders
from engine.models.hub_caches import hub_caches
from engine.models.presence import place_of
from engine.models.required import MOST_UNNAMED, RequiredModel, required_models
from engine.models.space import size_text
from engine.readiness import Coming
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.models.fetching import Fetched

log = logging.getLogger(__name__)

_TOLD_SECONDS = 30.0
_END_SECONDS = 2.0


class ModelFetch:
    """Fetches models in a thread of its own, beside the start and the first jobs. What fails stops nothing.

    Args:
        settings: say whether anything is fetched at all, and where it goes.
        coming: is told what is fetched.
        came: called for each file that is there now.
    """

    def __init__(self, settings: Settings, coming: Coming, came: Callable[[], None]) -> None:
        self._settings = settings
        self._coming = coming
        self._watcher = _Watcher(coming, came)
        self._cancel = CancellationToken()
        self._done = threading.Event()
        self._done.set()

    def begin(self, catalog: Catalog) -> list[str]:
        """Begin; the folders are made before ComfyUI starts, since it looks in those alone that it was told of.

        Args:
            catalog: of the workflows that are offered.

        Returns:
            The models that are fetched.
        """
        settings = self._settings
        if settings.models_fetch != "start" or not (settings.comfy_url or settings.comfy_home):
            return []  # the simulator needs none
        required = required_models(entry.workflow for entry in catalog.entries() if entry.workflow)
        folders = model_folders(settings)
        missing = [model for model in required if place_of(model, folders) is None]
        if not missing:
            return []
        if not settings.workflows and len(catalog) > MOST_UNNAMED:
            self._give_up(f"WORKFLOWS has to name those of the {len(catalog)} workflows whose models are wanted")
            return []
        into = folder_for_new(settings)
        if settings.comfy_url and not settings.models_dir:
            self._give_up("MODELS_DIR has to name the folder where the ComfyUI of COMFY_URL looks for models")
            return []
        if into is None:
            self._give_up("there is no folder for models: set MODELS_DIR")
            return []
        try:
            for model in missing:
                (into / model.path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._give_up(f"the folder {into} can't be made: {error.strerror}")
            return []
        self._coming.begin(model.path for model in missing)
        self._done.clear()
        arguments = (missing, [*folders, into], into.absolute())
        threading.Thread(target=self._fetch, args=arguments, name="models", daemon=True).start()
        return [model.path for model in missing]

    def wait(self, seconds: float) -> bool:
        """Wait until all is over, at most so long; whether it is."""
        return self._done.wait(max(0.0, seconds))

    def close(self) -> None:
        """End it; what came is kept, and the next start goes on with it."""
        self._cancel.cancel()
        self._done.wait(_END_SECONDS)  # for the locks; one that hangs on a server is left, and its lock goes with us

    def _fetch(self, missing: list[RequiredModel], folders: list[Path], into: Path) -> None:
        from engine.models.fetching import Fetcher
        from engine.models.sites import Sites

        settings = self._settings
        endpoint = {"hf_endpoint": settings.hf_endpoint} if settings.hf_endpoint else {}
        try:
            Fetcher(
                folders=folders,
                into=into,
                sites=Sites(settings.hf_token, settings.civitai_token, **endpoint),
                watcher=self._watcher,
                caches=hub_caches(os.environ, settings.volume_path),
                cancel=self._cancel,
            ).fetch(missing)
        except Exception as error:  # nobody's job: a worker without it works
            log.exception("the models can't be fetched")
            self._coming.failed(type(error).__name__)
        finally:
            self._done.set()

    def _give_up(self, why: str) -> None:
        event(log, logging.WARNING, "no models are fetched", reason=why)
        self._coming.failed(why)


class _Watcher:
    """Writes down how it goes: what is worth a line, and from time to time how far it is."""

    def __init__(self, coming: Coming, came: Callable[[], None]) -> None:
        self._coming = coming
        self._came = came
        self._told: dict[str, float] = {}

    def moved(self, path: str, size: int, total: int | None) -> None:
        """A line every half a minute."""
        now = time.monotonic()
        if now - self._told.setdefault(path, now) >= _TOLD_SECONDS:
            self._told[path] = now
            of = f" of {size_text(total)}" if total else ""
            event(log, logging.INFO, "a model is being fetched", name=path, done=f"{size_text(size)}{of}")

    def noted(self, path: str, text: str) -> None:
        """A line."""
        event(log, logging.INFO, "a model is being fetched", name=path, note=text)

    def ended(self, fetched: Fetched) -> None:
        """A line, and what health tells."""
        path = fetched.model.path
        if fetched.outcome == "failed":
            self._coming.ended(path, fetched.message)
            event(
                log, logging.WARNING, "a model can't be fetched", name=path, reason=fetched.message, hint=fetched.hint
            )
            return
        self._coming.ended(path)
        self._came()
        size = size_text(fetched.size_bytes) if fetched.size_bytes is not None else ""
        event(log, logging.INFO, "a model is there", name=path, how=fetched.outcome, size=size)
