"""The simulator: a server and its executor, each in a thread of its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from engine.nodes import NodeCatalogue, load_catalogue
from engine.simulator.calls import Operation
from engine.simulator.classes import Classes
from engine.simulator.executor import Executor
from engine.simulator.faults import Faults
from engine.simulator.folders import Folders
from engine.simulator.jobs import Job, Jobs
from engine.simulator.routes import Routes, features, queue_status
from engine.simulator.sockets import Hub

_ROUNDS_TO_ACCEPT = 3
"""Of the event loop (asyncio): a connection is taken in the first, gets a transport in the second, and is handed to
the server in the third."""


class Simulator:
    """A ComfyUI that has no models, on 127.0.0.1.

    It answers as the ComfyUI of its node catalogue would: the same refusals, messages and files.
    Nodes that need no model really run; a picture that would need one is drawn and says that it is simulated.

    ```python
    with Simulator(choices={"CheckpointLoaderSimple.ckpt_name": ["sd15.safetensors"]}) as comfy:
        requests.post(f"{comfy.url}/prompt", json={"prompt": graph})
    ```

    Args:
        catalogue: the node classes that it has; the bundled ones by default.
        folder: holds `input`, `output` and `temp`; a temporary one by default, removed at the end.
        port: a free one by default.
        choices: `Class.input` to the files that it lists. Without, lists of files are empty, and so any
            checkpoint is refused; `choices_from` makes the lists that some graphs need.
        step_seconds: how long a sampling step takes.
        models: folders like ComfyUI's `models/`; what lies there is listed as well, anew each time.
        previews: whether samplers send pictures of what they are at.
        faults: what is to go wrong, a script (docs/simulator.md).
        classes: further node classes by name, each as `/object_info` describes it.
        operations: what nodes of a class do, by the class's name; they come before the simulator's own. A class without
            one passes its inputs on.

    Attributes:
        faults: what is still to go wrong; more can be added at any time.
        url: `http://127.0.0.1:PORT`, once it runs.
        folders: its `input`, `output` and `temp`, once it runs.
    """

    def __init__(
        self,
        catalogue: NodeCatalogue | None = None,
        folder: Path | None = None,
        port: int = 0,
        choices: Mapping[str, Sequence[str]] | None = None,
        step_seconds: float = 0.0,
        *,
        models: Sequence[Path] = (),
        previews: bool = True,
        faults: Faults | Sequence[Mapping[str, Any]] = (),
        classes: Mapping[str, Mapping[str, Any]] | None = None,
        operations: Mapping[str, Operation] | None = None,
    ) -> None:
        known = catalogue if catalogue is not None else load_catalogue()
        self._catalogue = NodeCatalogue(
            {**known.object_info, **(classes or {})},
            version=known.version,
            from_files=known.from_files,
            live=known.live,
        )
        self._operations = operations or {}
        self._folder = folder
        self._port = port
        self._choices = choices or {}
        self._step_seconds = step_seconds
        self._models = models
        self._previews = previews
        self.faults = faults if isinstance(faults, Faults) else Faults(faults)
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; when this returns, it answers.

        Raises:
            OSError: the port is taken.
        """
        self._temporary = None if self._folder else tempfile.mkdtemp(prefix="comfyui-simulator-")
        self.folders = Folders(self._folder or Path(self._temporary or ""))
        self._loop = asyncio.new_event_loop()
        self._listener: socket.socket | None = None
        self._hub = Hub(self._loop, features(self._catalogue.version), self.faults)
        self._jobs = Jobs(lambda remaining: self._hub.send("status", {"status": queue_status(remaining)}))
        classes = Classes(self._catalogue, self.folders, self._choices, self._models)
        self._executor = Executor(
            classes,
            self.folders,
            self._hub,
            self.faults,
            step_seconds=self._step_seconds,
            previews=self._previews,
            operations=self._operations,
        )
        self._routes = Routes(classes, self.folders, self._jobs, self._hub, self._executor)
        self._server_thread = threading.Thread(target=self._loop.run_forever, name="simulator-server", daemon=True)
        self._server_thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        except OSError:
            self._end_loop()
            raise
        self._worker_thread = threading.Thread(target=self._work, name="simulator-executor", daemon=True)
        self._worker_thread.start()

    def stop(self) -> None:
        """Stop it: what runs is interrupted, what waits is dropped, a temporary folder is removed.

        Once it is stopped, stopping it again does nothing.
        """
        if self._loop.is_closed():
            return
        self._jobs.close()
        self._executor.stop()
        self._worker_thread.join()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._end_loop()

    async def _serve(self) -> None:
        self._publisher = asyncio.ensure_future(self._hub.publish())
        self._runner = web.AppRunner(self._routes.application(), access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            await web.SockSite(self._runner, self._listener).start()
        except OSError:
            await self._close()
            raise
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        self._publisher.cancel()
        await asyncio.gather(self._publisher, return_exceptions=True)
        if self._listener is not None:
            # No more come, and those that came are known, before any is closed: a client may be just connecting again,
            # and a connection that asyncio (Python 3.11) is taking when its server closes stays open for ever.
            self._loop.remove_reader(self._listener.fileno())
            for _ in range(_ROUNDS_TO_ACCEPT):
                await asyncio.sleep(0)
        connections = list(self._runner.server.connections) if self._runner.server else []
        await self._hub.close()
        await self._runner.cleanup()
        # A transport lets go of its socket in a later round, and waits until all is sent unless it is aborted.
        while open_ones := [each.transport for each in connections if each.transport is not None]:
            for transport in open_ones:
                transport.abort()
            await asyncio.sleep(0)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._server_thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _work(self) -> None:
        while (job := self._jobs.take()) is not None:
            result = self._executor.run(job)
            lag = self._executor.mishaps.history_lag()
            if lag:
                self._tell_end(job)
                self._executor.rest(lag)
            self._jobs.finish(result)
            if not lag:
                self._tell_end(job)

    def _tell_end(self, job: Job) -> None:
        client = job.extra_data.get("client_id")
        if client is not None:
            self._hub.send("executing", {"node": None, "prompt_id": job.prompt_id}, client)
