"""`engine serve`."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack

from engine.cancellation import CancellationToken
from engine.catalog import Catalog
from engine.commands.folders import folders_of
from engine.commands.output import print_note
from engine.ending import ending_in_time
from engine.environments.choosing import settings_of_own
from engine.errors import Cancelled, EngineError, UsageError
from engine.local_queue.lanes import Lane
from engine.logs import event
from engine.logs.setup import configure
from engine.server.context import ServerContext
from engine.server.listening import bound, url_of
from engine.server.serving import Shelf
from engine.server.serving import serve as answer_requests
from engine.settings import Settings, load_settings
from engine.wording import count_of

log = logging.getLogger(__name__)


def serve(host: str | None = None, port: int | None = None) -> None:
    """Serve the workflows of this machine until the process is told to end.

    Args:
        host: the address to listen on; left out, API_HOST.
        port: its port; left out, API_PORT.

    Raises:
        UsageError: the port is none.
        SettingsError: there is no such address, it is taken, or it would let everybody in.
        ComfyUnavailable: the settings name a ComfyUI that can't be.
    """
    settings = _at(settings_of_own(load_settings()), host, port)
    configure(settings)
    with ExitStack() as stack:
        listener = stack.enter_context(bound(settings))
        catalog = Catalog(folders_of(settings), only=settings.workflows)
        shelf = Shelf(settings)
        lanes = shelf.lanes(catalog, stack, simulate=True)
        stack.enter_context(ending_in_time())
        queue = stack.enter_context(shelf.queue(lanes))  # before anything is said: another server may have the folder
        for lane in lanes:
            lane.backend.comfy()  # the first says where it is the simulator
        _tell_comfyui(settings)
        place = _place_of_results(lanes[0], settings)
        print_note(f"{count_of(len(catalog), 'workflow')}; results go to {place}, the history to {shelf.folder}")
        cancel = CancellationToken()
        stack.callback(cancel.cancel)
        for lane in lanes:
            threading.Thread(target=_get_ready, args=(lane, cancel), name="ready", daemon=True).start()
        context = ServerContext(settings, catalog, lanes[0].runner, queue, shelf.secret, _is_simulated(settings))
        answer_requests(context, listener, lambda: print_note(f"open {_page(settings)} in a browser; Ctrl-C ends it"))


def _at(settings: Settings, host: str | None, port: int | None) -> Settings:
    changed: dict[str, object] = {}
    if host is not None:
        changed["api_host"] = host.removeprefix("[").removesuffix("]")
    if port is not None:
        if not 1 <= port <= 65_535:
            raise UsageError(f"--port: must be from 1 to 65535 (got {port})")
        changed["api_port"] = port
    return settings.model_copy(update=changed)


def _is_simulated(settings: Settings) -> bool:
    return not (settings.comfy_url or settings.comfy_home)


def _tell_comfyui(settings: Settings) -> None:
    for url in settings.comfy_urls:
        print_note(f"ComfyUI: {_without_password(url)}")
    if settings.comfy_home and not settings.comfy_url:
        print_note(f"ComfyUI: {settings.comfy_home}; it starts now, and jobs wait for it")


def _place_of_results(lane: Lane, settings: Settings) -> str:
    places = {"directory": str(settings.output_folder), "inline": "the replies themselves"}
    places |= {"s3": f"the bucket {settings.s3_bucket}", "gcs": f"the bucket {settings.gcs_bucket}"}
    return places[lane.runner.default_mode]


def _without_password(url: str) -> str:
    """A URL as it may be shown."""
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url


def _page(settings: Settings) -> str:
    """The playground's address, which a browser on this machine can open."""
    if settings.api_host in {"0.0.0.0", "::"}:  # noqa: S104 - every address, this machine's included
        settings = settings.model_copy(update={"api_host": "127.0.0.1"})
    return url_of(settings)


def _get_ready(lane: Lane, cancel: CancellationToken) -> None:
    """Have ComfyUI before the first job wants it; what goes wrong here that job is told again."""
    try:
        lane.runner.warm()
        comfy = lane.backend.comfy()
        if lane.backend.settings.comfy_url:
            comfy.client.system_stats()  # jobs wait for it; whoever has not started it is told before
        comfy.ready(cancel)
        lane.runner.live.get()
    except Cancelled:
        return
    except EngineError as error:
        if cancel.cancelled:
            return  # the server ends, which is no news of ComfyUI
        event(log, logging.WARNING, "ComfyUI is not there yet", error=str(error), hint=error.hint, detail=error.detail)
