"""Opens the ComfyUI that the settings name: one that runs, one that we start, or the simulator."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.catalog import Catalog
from engine.documents import read_json
from engine.environments.choosing import Start
from engine.errors import ComfyUnavailable, InvalidMap
from engine.known_nodes import known_nodes
from engine.logs import event
from engine.model_folders import folders_to_tell
from engine.settings import Settings
from engine.wording import listed

if TYPE_CHECKING:
    from engine.comfyui import ComfyUI, Supervisor

log = logging.getLogger(__name__)

_MOST_NAMED = 20

SIMULATED = "no ComfyUI is set (COMFY_URL or COMFY_HOME): the simulator draws the pictures"


class Opened:
    """A ComfyUI that is open; one of our own is started when it is first waited for (`ComfyUI.ready`).

    Args:
        start: what it takes.
        catalog: its templates' model files are what the simulator has.
        simulate: use the simulator where the settings name none, and say so on stderr.
        waits: wait COMFY_WAIT_SECONDS for the one at COMFY_URL where it does not answer; else that is told at once.
        others: those that are ended before it is started, the last one first.
        crashes: how often in a row this environment has stopped.

    Attributes:
        start: what it took.
        comfy: the ComfyUI.
        others: those that may still run; none once it was started.
        closed: whether `close` is done.

    Raises:
        ComfyUnavailable: the settings name none.
    """

    def __init__(
        self,
        start: Start,
        catalog: Catalog,
        *,
        simulate: bool,
        waits: bool,
        others: Sequence[Opened] = (),
        crashes: int = 0,
    ) -> None:
        self.start = start
        self._settings = start.settings
        self._catalog = catalog
        self._simulate = simulate
        self._waits = waits
        self._stack = ExitStack()
        self._closing = threading.Lock()
        self.closed = False
        self._supervisor: Supervisor | None = None
        self.others = tuple(others)
        self._crashes = crashes
        try:
            self.comfy = self._open()
        except BaseException:
            self._stack.close()
            raise
        self._stack.callback(self.comfy.close)

    @property
    def begun(self) -> bool:
        """Whether it was waited for, so that the others have ended, or are about to."""
        return self._supervisor is None or self._supervisor.begun

    @property
    def failed(self) -> bool:
        """Whether it did not start, the last time that it was tried."""
        return self._supervisor is not None and self._supervisor.failed

    @property
    def crashes(self) -> int:
        """How often in a row it has stopped, those before it was opened included.

        One that never ran has not stopped: it is installed wrong, which is no fault of the machine.
        """
        ran = self._supervisor is not None and self._supervisor.generation > 0
        return self._supervisor.crashes_in_a_row if self._supervisor and ran else self._crashes

    def close(self) -> None:
        """Close the connections, and end what was started; returns when that is done, whoever began it."""
        with self._closing:
            self._stack.close()
            self.closed = True

    def _end_others(self) -> None:
        for each in self.others:
            if not each.closed:
                names: dict[str, Any] = {"environment": each.start.version_id, "next": self.start.version_id}
                event(log, logging.INFO, "ComfyUI is ended for another", **names)
            each.close()
        self.others = ()

    def _open(self) -> ComfyUI:
        from engine.comfyui import Bounds, ComfyUI, Elsewhere, SharedFolders

        settings = self._settings
        bounds = Bounds(
            silent=settings.comfy_silent_seconds, stall=settings.stall_seconds, stop=settings.comfy_stop_seconds
        )
        if settings.comfy_url:
            wait_seconds = settings.comfy_wait_seconds if self._waits else 0.0
            watch = Elsewhere(settings.comfy_url, wait_seconds=wait_seconds)
            folders = SharedFolders.below(settings.comfy_folder) if settings.comfy_folder else None
            return ComfyUI(
                settings.comfy_url, watch=watch, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds
            )
        if settings.comfy_home:
            self._supervisor = self._supervised(settings.comfy_home)
            folders = SharedFolders.of_process(settings.comfy_home, settings.comfy_args)
            url = self._supervisor.process.url
            return ComfyUI(url, watch=self._supervisor, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds)
        if self._simulate or settings.comfy_simulate:
            from engine.simulator import Simulator, choices_from

            self._end_others()
            # It has the model files that the templates name and no others, so that a misspelt name is refused.
            self._say_that_it_simulates()
            nodes = known_nodes()
            choices = choices_from(_templates(self._catalog), nodes)
            simulator = self._stack.enter_context(Simulator(nodes, choices=choices))
            folders = SharedFolders.below(simulator.folders.base)
            return ComfyUI(simulator.url, folders=folders, cleanup=settings.comfy_cleanup, bounds=bounds)
        raise ComfyUnavailable(
            "no ComfyUI is set", hint="set COMFY_URL to one that runs, or COMFY_HOME to the folder of one to start"
        )

    def _say_that_it_simulates(self) -> None:
        if self._simulate:  # somebody is at a terminal
            sys.stderr.write(f"{SIMULATED}\n")  # in one piece: other threads write there, too
        else:
            log.warning(SIMULATED)

    def _supervised(self, home: Path) -> Supervisor:
        """A ComfyUI of our own, not started yet."""
        from engine.comfyui import ComfyProcess, Supervisor

        settings = self._settings
        process = ComfyProcess(
            home,
            python=settings.comfy_python,
            args=(*self._model_paths(home), *_verbosity(settings), *settings.comfy_args),
            log_file=settings.comfy_log,
            start_timeout=settings.comfy_start_seconds,
        )
        supervisor = Supervisor(
            process,
            most_crashes=settings.comfy_most_crashes,
            silent_seconds=settings.comfy_silent_seconds,
            before=self._make_ready,
            verify=lambda: self._verify(process.url),
        )
        supervisor.crashes_in_a_row = self._crashes
        return supervisor

    def _make_ready(self) -> None:
        """What is done before each start."""
        from engine.models.pack_folders import show_to_packs

        self._end_others()
        found = show_to_packs(self._settings)
        if linked := [each.path for each in found if not each.problem]:
            event(log, logging.INFO, "models are linked for node packs", models=listed(linked, most=_MOST_NAMED))
        for each in found:
            if each.problem:
                event(
                    log,
                    logging.WARNING,
                    "node packs may not find models: they can't be linked into ComfyUI's own models folder",
                    models=each.path,
                    link=str(each.link),
                    reason=each.problem,
                )

    def _verify(self, url: str) -> None:
        """See that what was started is the environment that its lock says.

        Raises:
            EnvironmentUnverified: it is not.
        """
        from engine.comfyui import ComfyClient

        if self.start.verify is not None:
            with contextlib.closing(ComfyClient(url)) as client:
                self.start.verify(client.object_info(), client.system_stats())
            event(log, logging.INFO, "the environment is as its lock says", environment=self.start.version_id)

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
        with contextlib.suppress(InvalidMap, OSError):  # a broken one is told when it is asked for
            if not source.template.is_file():
                continue  # a pipe would be waited for
            document = read_json(source.template, label=source.template.name)
            if isinstance(document, dict):
                yield document
