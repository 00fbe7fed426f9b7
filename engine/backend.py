"""Which ComfyUI runs the graphs: one that runs, one that we start, or the simulator."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from engine.catalog import Catalog
from engine.documents import read_json
from engine.errors import ComfyUnavailable, InvalidMap
from engine.nodes import load_catalogue
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.comfyui import ComfyUI, SharedFolders

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and stop what was started."""
        with self._lock:
            self._comfy = None
            self._stack.close()

    def callback(self, function: Callable[[], None]) -> None:
        """Have something called when this is closed."""
        self._stack.callback(function)

    @property
    def started(self) -> bool:
        """Whether the ComfyUI was started; looking never starts one, and never waits for one that does."""
        return self._comfy is not None

    def comfy(self) -> ComfyUI:
        """The ComfyUI; starts it if need be.

        Raises:
            ComfyUnavailable: there is none, or it did not start.
        """
        with self._lock:
            if self._comfy is None:
                from engine.comfyui import ComfyUI

                url, folders = self._url_and_folders()
                self._comfy = ComfyUI(url, folders=folders, cleanup=self._settings.comfy_cleanup)
                self._stack.callback(self._comfy.close)
            return self._comfy

    def _url_and_folders(self) -> tuple[str, SharedFolders | None]:
        from engine.comfyui import SharedFolders

        settings = self._settings
        if settings.comfy_url:
            return settings.comfy_url, SharedFolders.below(settings.comfy_folder) if settings.comfy_folder else None
        if settings.comfy_home:
            from engine.comfyui import ComfyProcess

            process = ComfyProcess(
                settings.comfy_home,
                python=settings.comfy_python,
                args=settings.comfy_args,
                log_file=settings.comfy_log,
                start_timeout=settings.comfy_start_seconds,
            )
            folders = SharedFolders.of_process(settings.comfy_home, settings.comfy_args)
            return self._stack.enter_context(process).url, folders
        if self._simulate or settings.comfy_simulate:
            from engine.simulator import Simulator, choices_from

            # It has the model files that the templates name and no others, so that a misspelt name is refused.
            print(SIMULATED, file=sys.stderr)  # noqa: T201 - the contract: it says so on stderr
            choices = choices_from(_templates(self._catalog), load_catalogue())
            simulator = self._stack.enter_context(Simulator(choices=choices))
            return simulator.url, SharedFolders.below(simulator.folders.base)
        raise ComfyUnavailable(
            "no ComfyUI is set", hint="set COMFY_URL to one that runs, or COMFY_HOME to the folder of one to start"
        )


def _templates(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """The catalog's templates, read and not compiled: of a thousand workflows, one is about to run."""
    for source in catalog.sources().values():
        with contextlib.suppress(InvalidMap):  # a broken one is told when it is asked for
            document = read_json(source.template, label=source.template.name)
            if isinstance(document, dict):
                yield document
