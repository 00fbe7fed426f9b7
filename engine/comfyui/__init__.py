"""One running ComfyUI: queue graphs, hear of them, fetch what they made."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.cancellation import CancellationToken
from engine.comfyui.client import ComfyClient, ResultGone, new_prompt_id
from engine.comfyui.collect import Declared, collect, raw_outputs
from engine.comfyui.contact import Bounds, Contact
from engine.comfyui.elsewhere import Elsewhere
from engine.comfyui.events import EventStream
from engine.comfyui.execution import Executor
from engine.comfyui.folders import SharedFolders
from engine.comfyui.forgetting import Forgetting
from engine.comfyui.process import ComfyProcess
from engine.comfyui.supervisor import Supervisor
from engine.comfyui.watch import ComfyStopped, Watch
from engine.comfyui.workspace import Workspace, really_shared, sweep
from engine.errors import ComfyUnavailable
from engine.nodes import NodeCatalogue
from engine.results import Execution, Progress, RawOutput

__all__ = [
    "Bounds",
    "ComfyClient",
    "ComfyProcess",
    "ComfyStopped",
    "ComfyUI",
    "Declared",
    "Elsewhere",
    "ResultGone",
    "SharedFolders",
    "Supervisor",
    "Workspace",
    "new_prompt_id",
    "raw_outputs",
]

log = logging.getLogger(__name__)


class ComfyUI:
    """The one ComfyUI of this process. Any number of threads may use it at once.

    ```python
    with ComfyUI("http://127.0.0.1:8188") as comfy:
        execution = comfy.execute(
            graph, prompt_id=new_prompt_id(), cancel=CancellationToken(),
            timeout_seconds=300, queue_timeout_seconds=600,
        )
        files = comfy.collect(execution, [("image", "9", "image")], folder)
    ```

    Args:
        url: where it listens.
        folders: its folders, where they are on this machine: files then do not go through HTTP, and are removed with
            their job. It is tried whether they are; if not, the log says so, and they are not used.
        cleanup: whether a job's results and its history entry are removed once they are stored.
        watch: starts it, and knows whether it runs; left out, it is one that others started.
        bounds: how long it may leave us without what we wait for.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        folders: SharedFolders | None = None,
        cleanup: bool = True,
        watch: Watch | None = None,
        bounds: Bounds | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        self.client = ComfyClient(url, connect_timeout=connect_timeout, read_timeout=read_timeout)
        self.events = EventStream(self.client.url, auth=self.client.auth, connect_timeout=connect_timeout)
        self.watch = watch or Elsewhere(self.client.url, wait_seconds=0.0)
        self._executor = Executor(Contact(self.client, self.events, self.watch, bounds or Bounds()))
        self._forgetting = Forgetting(self.client)
        self._folders = folders
        self._cleanup = cleanup
        self._folders_tried = threading.Lock()
        self._untried = folders is not None
        self._met = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, end the listener, and end what `watch` started.

        What jobs that are over still have in ComfyUI's history is removed first.
        """
        self._forgetting.close()
        self.events.close()
        self.client.close()
        self.watch.close()

    @property
    def started(self) -> bool:
        """Whether it runs, as far as we know; one that others started is taken to."""
        return self.watch.started

    @property
    def worn_out(self) -> str | None:
        """Why its machine had better be replaced: it stopped again and again. None while there is no reason."""
        return self.watch.worn_out

    def begin(self) -> None:
        """Start it, if it is ours and was not started yet; returns when its process runs, before it answers."""
        self.watch.begin()

    def ready(self, cancel: CancellationToken | None = None) -> None:
        """Wait until it answers; start it, if it is ours and was not started yet. Asks nothing while all goes well.

        The first time, what the first job would wait for is done as well: its websocket is connected, and its folders
        are tried.

        Raises:
            Cancelled: the job was cancelled.
            ComfyUnavailable: it does not come within its bound.
        """
        self.watch.wait_until_up(cancel or CancellationToken())
        if not self._met:
            self._met = True
            self.events.begin()
            with contextlib.suppress(ComfyUnavailable):  # which the job that needs them is told
                self.folders()

    def suspect(self) -> None:
        """It did not answer as it should: `ready` looks again."""
        self.watch.suspect()

    def execute(
        self,
        graph: Mapping[str, Any],
        *,
        prompt_id: str,
        cancel: CancellationToken,
        timeout_seconds: float,
        queue_timeout_seconds: float,
        on_progress: Callable[[Progress], None] | None = None,
        extra_data: Mapping[str, Any] | None = None,
        frames_folder: Path | None = None,
        needed_outputs: Collection[str] = (),
        previews: bool = False,
        floor: float = 0.0,
        order: int | None = None,
    ) -> Execution:
        """Run a graph to its end: see `Executor.execute`."""
        return self._executor.execute(
            graph,
            prompt_id=prompt_id,
            cancel=cancel,
            timeout_seconds=timeout_seconds,
            queue_timeout_seconds=queue_timeout_seconds,
            on_progress=on_progress,
            extra_data=extra_data,
            frames_folder=frames_folder,
            needed_outputs=needed_outputs,
            previews=previews,
            floor=floor,
            order=order,
        )

    def collect(
        self,
        execution: Execution,
        declared: Sequence[Declared],
        folder: Path,
        *,
        originals: Mapping[str, str] | None = None,
        previews: bool = False,
        cancel: CancellationToken | None = None,
    ) -> list[tuple[RawOutput, Path | None]]:
        """Bring the declared outputs of an execution to this machine.

        Args:
            execution: a finished one.
            declared: name, node and kind (or None) of each output; empty, all there are.
            folder: where fetched files go.
            originals: the nodes of the rendered graph that are copies, to the node of the template.
            previews: whether files of ComfyUI's temp folder are outputs too, also where no output declares them.
            cancel: looked at while files arrive.

        Returns:
            Each output with its file; None for text.

        Raises:
            Cancelled: the job was cancelled.
            NoOutputs: none came.
            ResultGone: ComfyUI no longer has a file that it names.
        """
        raw = raw_outputs(execution, declared, originals=originals, previews=previews)
        return collect(self.client, raw, folder, folders=self.folders(), cancel=cancel)

    def workspace(self, job_id: str, prompt_id: str) -> Workspace:
        """A job's own place in ComfyUI's folders, a context manager: see `Workspace`."""
        return Workspace(
            self.client, self.folders(), job_id, prompt_id, forget=self._forgetting.add if self._cleanup else None
        )

    def folders(self) -> SharedFolders | None:
        """Its folders, where they are on this machine; tried with the first call.

        Raises:
            ComfyUnavailable: it does not answer.
        """
        with self._folders_tried:
            if self._untried and self._folders is not None:
                if not really_shared(self.client, self._folders):
                    log.warning(
                        "%s is not the input folder of the ComfyUI at %s: files go through HTTP",
                        self._folders.input,
                        self.client.url,
                    )
                    self._folders = None
                elif abandoned := sweep(self._folders):
                    log.info("removed what %d jobs left that were killed: %s", len(abandoned), ", ".join(abandoned))
                self._untried = False
            return self._folders

    def system_stats(self) -> dict[str, Any]:
        """ComfyUI's versions, memory and devices, in its own words.

        Raises:
            ComfyUnavailable: it does not answer.
        """
        return self.client.system_stats()

    def node_catalogue(self) -> NodeCatalogue:
        """The node catalogue of this ComfyUI, true to its files."""
        return self.client.node_catalogue()

    def model_files(self, kind: str, *, patience_seconds: float) -> list[str] | None:
        """The files of a kind of model, below its folders; None for a kind that it does not know.

        Raises:
            ComfyUnavailable: it does not answer in time.
        """
        return self.client.model_files(kind, read_timeout=patience_seconds)

    def has_class(self, class_type: str, *, patience_seconds: float) -> bool:
        """Whether it has a node class.

        Raises:
            ComfyUnavailable: it does not answer in time.
        """
        return self.client.has_class(class_type, read_timeout=patience_seconds)
