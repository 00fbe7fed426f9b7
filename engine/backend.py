"""The ComfyUI of this process, and the switch from one environment to another."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.environments.choosing import Environments
from engine.errors import ComfyUnavailable
from engine.logs import event
from engine.opened import Opened
from engine.row import Late
from engine.settings import Settings
from engine.turns import Turns

if TYPE_CHECKING:
    from engine.comfyui import ComfyUI

log = logging.getLogger(__name__)


class Backend:
    """The ComfyUI of this process, opened when first needed. A context manager; safe to use from several threads.

    There is one at a time. Which, a job says by the environment that it holds while it runs (`using`): jobs of one
    environment share it, those of another wait for them. The first that waits for the other ComfyUI (`ComfyUI.ready`)
    ends the present one; a job that is refused before has switched nothing.

    Args:
        settings: COMFY_URL comes before COMFY_HOME; VERSION_ID names the worker's own environment.
        catalog: its templates' model files are what the simulator has.
        simulate: use the simulator where none is set, and say so on stderr.
        waits: wait COMFY_WAIT_SECONDS for the one at COMFY_URL where it does not answer. By default where nothing is
            simulated: somebody at a terminal is told at once, but a worker may have been started before its ComfyUI.

    Raises:
        SettingsError: COMFY_URL names several: each wants a backend of its own.
    """

    def __init__(self, settings: Settings, catalog: Catalog, *, simulate: bool, waits: bool | None = None) -> None:
        _ = settings.only_comfy_url
        self._settings = settings
        self._catalog = catalog
        self._simulate = simulate
        self._waits = not simulate if waits is None else waits
        self._environments = Environments(settings)
        self._turns: Turns[str | None] = Turns(self._turn_to, self._turn_is_over)
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._opened: Opened | None = None
        self._crashes: dict[str | None, int] = {}
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
            opened, self._opened = self._opened, None
            for each in (opened, *opened.others) if opened else ():
                each.close()
            self._stack.close()

    def callback(self, function: Callable[[], None]) -> None:
        """Have something called when this is closed."""
        self._stack.callback(function)

    @property
    def settings(self) -> Settings:
        """Those of the ComfyUI that runs, or is the next to: with its environment's models and arguments."""
        opened = self._opened
        return opened.start.settings if opened else self._settings

    @property
    def environment(self) -> str | None:
        """The environment that runs, or is the next to; None for a ComfyUI that is none."""
        return self.settings.version_id

    def settings_of(self, version_id: str | None) -> Settings:
        """The settings of an environment, whether it runs or not; of the worker's own where none is named.

        Raises:
            InvalidRequest: there is none of that name; with the names there are.
            EnvironmentUnverified: it is not as its lock says.
        """
        return self._environments.start_of(self.known(version_id)).settings

    def comfy(self) -> ComfyUI:
        """The ComfyUI; one of our own is started when it is first waited for (`ComfyUI.ready`).

        Raises:
            EnvironmentUnverified: it is that of an environment which is not as its lock says.
            ComfyUnavailable: there is none, or it was closed.
        """
        with self._lock:
            opened = self._opened or self._open(self._environments.own)
            return opened.comfy

    def begin(self) -> None:
        """Start a ComfyUI of our own, if nobody did; returns when its process runs, before it answers.

        One that can't be started is told of by who waits for it (`ComfyUI.ready`).

        Raises:
            EnvironmentUnverified: as `comfy`.
            ComfyUnavailable: as `comfy`.
        """
        self.comfy().begin()

    def known(self, version_id: str | None) -> str | None:
        """The environment that a request asks for; the worker's own where it names none.

        Raises:
            InvalidRequest: there is none of that name; with the names there are.
        """
        own = self._environments.own
        return own if version_id in {None, own} else self._environments.known(str(version_id))

    @contextlib.contextmanager
    def using(
        self, version_id: str | None, cancel: CancellationToken, order: int | None = None
    ) -> Iterator[str | None]:
        """Have an environment, within the block: `comfy` gives its ComfyUI, and no job of another runs.

        Args:
            version_id: its name; None for the worker's own, whichever ran last.
            cancel: ends the waiting for jobs of another.
            order: the job's place among those of this process; left out, behind those that wait.

        Returns:
            The environment's name; None for a ComfyUI that is none.

        Raises:
            InvalidRequest: there is none of that name; with the names there are.
            EnvironmentUnverified: it is not as its lock says.
            Cancelled: the job was cancelled while it waited.
            ComfyUnavailable: jobs of another environment go on for too long.
        """
        wanted = self.known(version_id)
        try:
            with self._turns.hold(wanted, cancel, self._settings.queue_timeout_seconds, order):
                yield wanted
        except Late:
            raise ComfyUnavailable(
                f"jobs of another environment went on for {self._settings.queue_timeout_seconds:g} s",
                hint="send the job again",
            ) from None

    def _turn_to(self, wanted: str | None) -> None:
        """Open what is wanted; what runs goes on until that is waited for."""
        with self._lock:
            if self._opened is None or self._opened.start.version_id != wanted:
                self._open(wanted)

    def _turn_is_over(self) -> None:
        with self._lock:
            opened = self._opened
            if opened is None:
                return
            if opened.others and not opened.begun:
                # The jobs were refused before they needed it: what ran before still runs.
                self._opened = opened.others[0]
                opened.close()
            elif opened.failed and opened.start.version_id != self._environments.own:
                # Else it would be started again and again, with nobody who waits for it.
                event(log, logging.WARNING, "the environment is left", environment=opened.start.version_id)
                self._opened = None
                opened.close()

    def _open(self, version_id: str | None) -> Opened:
        """Open another; the one that is open is ended when this is waited for."""
        if self._closed:
            raise ComfyUnavailable("the worker ends", hint="send the job again")
        start = self._environments.start_of(version_id)
        others: tuple[Opened, ...] = ()
        if before := self._opened:
            self._crashes[before.start.version_id] = before.crashes
            others = tuple(each for each in (before, *before.others) if not each.closed)
        crashes = self._crashes.get(version_id, 0)
        self._opened = Opened(
            start, self._catalog, simulate=self._simulate, waits=self._waits, others=others, crashes=crashes
        )
        return self._opened
