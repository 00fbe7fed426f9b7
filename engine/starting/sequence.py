"""The order of a start, from nothing to the first job.

ComfyUI takes longest, so its process is begun before anything else is: what is imported here is what that needs, and
no more. All the rest (`engine.starting.beside`) is imported and done beside it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import NoReturn

from engine import in_capitals
from engine.backend import Backend
from engine.ending import end_on_signals
from engine.environments.choosing import Environments, settings_of_own, verify_own
from engine.errors import ComfyUnavailable, EngineError, file_trouble
from engine.logs import event
from engine.logs.setup import configure
from engine.settings import Settings, load_settings
from engine.starting.beginning import Beginning, beginning
from engine.starting.modes import Choice
from engine.starting.places import find_all, homes
from engine.volume import wait_for_volume
from engine.wording import listed

log = logging.getLogger(__name__)


def start(choice: Choice) -> None:
    """Build the worker and let it work; returns when it is told to end. Ends the process where it can't start.

    Args:
        choice: `serverless` or `serve`.
    """
    begun = time.monotonic()
    try:
        end_on_signals()
        settings = _read_settings(choice)
        if choice.mode == "serve":
            _serve(choice, settings, begun)
        else:
            _take_jobs(beginning(choice, settings, begun))
    except EngineError as error:
        _end_with(error)
    except OSError as error:  # a volume whose mount is broken answers with errors of all kinds
        _end_with(file_trouble(error))


def _end_with(error: EngineError) -> NoReturn:
    hint = f" ({error.hint})" if error.hint else ""
    fields = {"detail": error.detail} if error.detail else {}
    log.critical("the worker can't start: %s: %s%s", error.code, error, hint, extra={"fields": fields})
    sys.exit(1)


def _read_settings(choice: Choice) -> Settings:
    environment = in_capitals(os.environ)
    wait_for_volume(environment)
    settings = settings_of_own(load_settings(find_all(environment)))
    if choice.mode == "serve":
        settings = _with_results_beside_the_history(settings)
    configure(settings)
    for warning in settings.warnings():
        event(log, logging.WARNING, "a variable had better be looked at", reason=warning)
    _check_comfyui(settings)
    verify_own(settings)
    return settings


def _check_comfyui(settings: Settings) -> None:
    """A worker without any would fail job after job."""
    if not (settings.comfy_url or settings.comfy_home or settings.comfy_simulate):
        places = ", ".join(str(folder) for folder, _ in homes(settings.volume_path))
        names = Environments(settings).names()
        raise ComfyUnavailable(
            f"there is no ComfyUI: neither COMFY_URL nor COMFY_HOME is set, and none is in {places}",
            hint="set COMFY_HOME to the folder of its main.py, or COMFY_URL to one that runs; "
            + (f"VERSION_ID to one of these environments: {listed(names)}; " if names else "")
            + "with COMFY_SIMULATE=1 a simulator draws the pictures",
        )


def _with_results_beside_the_history(settings: Settings) -> Settings:
    """Unless OUTPUT_FOLDER says another place: what lies in a container is gone when it ends."""
    from engine.server.folder import data_folder

    if settings.source_of("output_folder").variable:
        return settings
    return settings.model_copy(update={"output_folder": data_folder(settings) / "results"})


def _take_jobs(first: Beginning) -> None:
    with Backend(first.settings, first.workflows.catalog, simulate=False) as backend:
        if first.starts_comfyui and not first.reads_workflows_first:
            backend.begin()
        from engine.starting.beside import take_jobs  # and all that it imports, beside ComfyUI's start

        take_jobs(first, backend)


def _serve(choice: Choice, settings: Settings, begun: float) -> None:
    from engine.server.listening import bound

    with bound(settings) as listener:  # the address is taken before anything slow is begun
        first = beginning(choice, settings, begun)
        from engine.starting.serving import serve

        serve(first, listener)
