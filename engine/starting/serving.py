"""The start of the local API: as a worker's, but for where its jobs come from."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack

from engine.logs import event
from engine.server.context import ServerContext
from engine.server.listening import url_of
from engine.server.serving import Shelf
from engine.server.serving import serve as serve_by_http
from engine.starting.beginning import Beginning
from engine.starting.beside import get_ready, tell_rest
from engine.warming import WarmUp

log = logging.getLogger(__name__)


def serve(first: Beginning, listener: socket.socket) -> None:
    """Get ready, then answer what comes by HTTP until the process is told to end.

    Args:
        first: what the start knows.
        listener: the address, taken.
    """
    settings, catalog = first.settings, first.workflows.catalog
    with ExitStack() as stack:
        shelf = Shelf(settings)
        lanes = shelf.lanes(catalog, stack, simulate=False)  # a runner for each ComfyUI
        backend, runner = lanes[0]
        if first.starts_comfyui and not first.reads_workflows_first:
            backend.begin()
        ready = get_ready(first, backend, runner, stack)
        tell_rest(ready)

        def begun() -> None:
            event(log, logging.INFO, "the local API listens", url=url_of(settings))

        name = settings.warmup_workflow
        others = [WarmUp(lane.runner, name) if name else None for lane in lanes[1:]]
        with shelf.queue(lanes, [ready.warm_up, *others]) as queue:
            simulated = settings.comfy_simulate
            context = ServerContext(settings, catalog, runner, queue, shelf.secret, simulated)
            serve_by_http(context, listener, begun)
