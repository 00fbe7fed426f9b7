"""`engine mcp`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from engine.backend import Backend
from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.commands.folders import folders_of
from engine.commands.output import print_note, show_errors_of_the_log
from engine.environments.choosing import settings_of_own
from engine.errors import Cancelled, EngineError, Problem, SettingsError, UsageError
from engine.jobs import Runner
from engine.mcp import INSTALL, NOT_INSTALLED, is_installed
from engine.settings import Settings, load_settings
from engine.storage import Storages


def serve() -> None:
    """Serve the workflows as tools over stdin and stdout, until stdin ends. Nothing else goes to stdout.

    Raises:
        UsageError: the library is not installed, or stdin or stdout is closed.
        SettingsError: the folder for the results can't be written to.
    """
    if not is_installed():
        raise UsageError(NOT_INSTALLED, hint=INSTALL)
    _check_pipes()
    settings = settings_of_own(load_settings())
    # A client starts this in a folder of its own choice, and is told of the files by whole paths.
    settings = settings.model_copy(update={"output_folder": settings.output_folder.absolute()})
    show_errors_of_the_log()
    storages = Storages(settings, default="directory")
    if storages.default_mode == "directory":
        _check_folder(settings.output_folder)
    catalog = Catalog(folders_of(settings), only=settings.workflows)
    with Backend(settings, catalog, simulate=True) as backend:
        runner = Runner(catalog, backend.comfy, storages, settings, backend)
        backend.callback(runner.close)
        stop = CancellationToken()
        starting = threading.Thread(target=_start, args=(backend, stop), name="start-comfyui")
        starting.start()  # so that the tools are listed meanwhile
        try:
            _serve(runner, settings)
        finally:
            stop.cancel()
            starting.join()


def _serve(runner: Runner, settings: Settings) -> None:
    from engine.mcp.protocol import Options, Protocol
    from engine.mcp.running import RunnerCalls
    from engine.mcp.stdio import serve as serve_stdio
    from engine.mcp.tools import Tools

    calls = RunnerCalls(runner)
    simulated = not (settings.comfy_url or settings.comfy_home)
    try:
        options = Options(simulated=simulated, in_bucket=runner.results_in_bucket)
        serve_stdio(Protocol(Tools(runner, calls.media), calls, options))
    finally:
        calls.close()


def _start(backend: Backend, stop: CancellationToken) -> None:
    try:
        backend.comfy().ready(stop)
    except Cancelled:
        pass
    except EngineError as error:
        print_note(f"{error.code}: {error.message}")  # each call tells it too, and tries again


def _check_pipes() -> None:
    """Whether a client can be talked to; and tell somebody at a terminal, who would wait for ever, what this is."""
    if sys.stdin is None or sys.stdout is None:  # what is opened next would take their place
        raise UsageError("stdin or stdout is closed", hint="an agent's client starts this and talks to it over both")
    if sys.stdin.isatty():
        print_note("an agent's client starts this and talks to it over stdin and stdout; Ctrl-C ends it")


def _check_folder(folder: Path) -> None:
    """Whether results can be kept there: a call would find out after minutes."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise SettingsError(
            problems=[Problem("OUTPUT_FOLDER", f"{folder} can't be written to")],
            hint='say which folder is for the results: "env": {"OUTPUT_FOLDER": "/home/me/pictures"} in the client\'s'
            " configuration",
        )
