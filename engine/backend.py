"""Which ComfyUI runs the graphs: one that runs, one that we start, or the simulator."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from engine.catalog import Catalog
from engine.documents import read_json
from engine.errors import ComfyUnavailable, InvalidMap
from engine.logs import event
from engine.model_folders import folders_to_tell
from engine.nodes import load_catalogue
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.comfyui import ComfyUI

log = logging.getLogger(__name__)

SIMULATED = "no ComfyUI is set (COMFY_URL or COMFY_HOME): the simulator draws the pictures"


class Backend:
    """The ComfyUI of this process, opened when first needed. A context manager; safe to use from several threads.

    Args:
        settings: COMFY_URL comes before COMFY_HOME.
        catalog: its templates' model files are what the simulator has.
        simulate: use the simulator where neither is set, and say so on stderr.
    """

    def __init__(self, settings: Settings, catalog: Catalog, *, simulate: bool) -> None:
        self._settings = settings
        self._catalog = catalog
        self._simulate = simulate
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._comfy: ComfyUI | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and stop what was started; for good: a job that goes on starts nothing anew."""
        self._closed = True
        with self._lock:
            self._comfy = None
            self._stack.close()

    def callback(self, function: Callable[[], None]) -> None:
        """Have something called when this is closed."""
        self._stack.callback(function)

    def comfy(self) -> ComfyUI:
        """The ComfyUI; one of our own is started when it is first waited for (`ComfyUI.ready`).

        Raises:
            ComfyUnavailable: there is none, or it was closed.
        """
        with self._lock:
            if self._closed:
                raise ComfyUnavailable("the worker ends", hint="send the job again")
            if self._comfy is None:
                self._comfy = self._opened()
                self._stack.callback(self._comfy.close)
            return self._comfy

    def _opened(self) -> ComfyUI:
        from engine.comfyui import Bounds, ComfyProcess, ComfyUI, Elsewhere, SharedFolders, Supervisor

        settings = self._settings
        bounds = Bounds(
            silent=settings.comfy_silent_seconds, stall=settings.stall_seconds, stop=settings.comfy_stop_seconds
        )
        if settings.comfy_url:
            # Somebody at a terminal is told at once; a worker may have been started before its ComfyUI.
            wait_seconds = 0.0 if self._simulate else settings.comfy_wait_seconds
            watch = Elsewhere(settings.comfy_url, wait_seconds=wait_seconds)
            folders = SharedFolders.below(settings.comfy_folder) if settings.comfy_folder else None
            return ComfyUI(
                settings.comfy_url, watch=watch, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds
            )
        if settings.comfy_home:
            process = ComfyProcess(
                settings.comfy_home,
                python=settings.comfy_python,
                args=(*self._model_paths(settings.comfy_home), *_verbosity(settings), *settings.comfy_args),
                log_file=settings.comfy_log,
                start_timeout=settings.comfy_start_seconds,
            )
            supervisor = Supervisor(
                process, most_crashes=settings.comfy_most_crashes, silent_seconds=settings.comfy_silent_seconds
            )
            folders = SharedFolders.of_process(settings.comfy_home, settings.comfy_args)
            return ComfyUI(
                process.url, watch=supervisor, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds
            )
        if self._simulate or settings.comfy_simulate:
            from engine.simulator import Simulator, choices_from

            # It has the model files that the templates name and no others, so that a misspelt name is refused.
            print(SIMULATED, file=sys.stderr)  # noqa: T201 - the contract: it says so on stderr
            choices = choices_from(_templates(self._catalog), load_catalogue())
            simulator = self._stack.enter_context(Simulator(choices=choices))
            folders = SharedFolders.below(simulator.folders.base)
            return ComfyUI(simulator.url, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds)
        raise ComfyUnavailable(
            "no ComfyUI is set", hint="set COMFY_URL to one that runs, or COMFY_HOME to the folder of one to start"
        )

    def _model_paths(self, home: Path) -> list[str]:
        """The arguments that tell ComfyUI of the folders of models that are not its own."""
        from engine.comfyui.model_paths import write_model_paths

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="comfyui-models-"))
        try:
            return write_model_paths(home, folders_to_tell(self._settings), Path(folder) / "extra_model_paths.yaml")
        except OSError as error:
            event(log, logging.ERROR, "ComfyUI is not told of the other folders of models", reason=str(error))
            return []


def _verbosity(settings: Settings) -> list[str]:
    return ["--verbose", settings.comfy_log_level] if settings.comfy_log_level else []


def _templates(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """The catalog's templates, read and not compiled: of a thousand workflows, one is about to run."""
    for source in catalog.sources().values():
        with contextlib.suppress(InvalidMap):  # a broken one is told when it is asked for
            document = read_json(source.template, label=source.template.name)
            if isinstance(document, dict):
                yield document
