"""What a job needs of a ComfyUI, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from engine.cancellation import CancellationToken
from engine.comfyui import Declared
from engine.errors import InvalidRequest, Problem
from engine.graph import Graph
from engine.nodes import NodeCatalogue
from engine.results import Execution, Progress, RawOutput
from engine.settings import Settings

OnProgress = Callable[[Progress], None]


class Space(Protocol):
    """A job's own place in ComfyUI's folders; `engine.comfyui.Workspace` is one."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what the job put there, and its results, unless they could not be stored."""

    @property
    def keeps_inputs(self) -> bool:
        """Whether the files that are put there stay when this ends."""

    def add(self, path: Path, filename: str) -> str:
        """Put a file where loader nodes find it; gives the name a graph calls it by."""

    def isolated(self, graph: Graph, *, anew: bool = False) -> Graph:
        """The graph with its results in the job's own folder; `anew`, with output nodes that run in any case."""

    def ran(self, execution: Execution) -> None:
        """Tell what came of the job."""


class Environments(Protocol):
    """What a job needs of a worker that may have several ComfyUIs; `engine.backend.Backend` is one."""

    @property
    def environment(self) -> str | None:
        """The environment that runs, or is the next to; None for a ComfyUI that is none."""

    @property
    def settings(self) -> Settings | None:
        """The settings of that one; None where they are the worker's."""

    def settings_of(self, version_id: str | None) -> Settings | None:
        """The settings of an environment, whether it runs or not; None where they are the worker's."""

    def known(self, version_id: str | None) -> str | None:
        """The environment that a request asks for, if there is one of that name; its own where it names none."""

    def using(
        self, version_id: str | None, cancel: CancellationToken, order: int | None = None
    ) -> AbstractContextManager[str | None]:
        """Have an environment, within the block: no job of another runs meanwhile; in the order of the jobs."""


class OneComfy:
    """A worker that has one ComfyUI, and no environments."""

    environment: str | None = None
    settings: Settings | None = None

    def settings_of(self, version_id: str | None) -> None:
        """None.

        Raises:
            InvalidRequest: one is named.
        """
        self.known(version_id)

    def known(self, version_id: str | None) -> None:
        """None.

        Raises:
            InvalidRequest: one is named.
        """
        if version_id is not None:
            problem = Problem("version_id", "this worker has no environments to choose from")
            raise InvalidRequest(problems=[problem], hint="send the request without version_id")

    @contextmanager
    def using(
        self,
        version_id: str | None,
        cancel: CancellationToken,  # noqa: ARG002
        order: int | None = None,  # noqa: ARG002
    ) -> Iterator[None]:
        """The one there is."""
        self.known(version_id)
        yield


class Comfy(Protocol):
    """What a job needs of a ComfyUI; `engine.comfyui.ComfyUI` is one."""

    @property
    def worn_out(self) -> str | None:
        """Why this machine had better be replaced by another; None while there is no reason."""

    @property
    def started(self) -> bool:
        """Whether it runs, as far as we know."""

    def ready(self, cancel: CancellationToken | None = None) -> None:
        """Wait until it answers; start it, if it is ours and was not started yet."""

    def suspect(self) -> None:
        """It did not answer as it should: `ready` looks again."""

    def system_stats(self) -> dict[str, Any]:
        """ComfyUI's versions, memory and devices, in its own words (`/system_stats`)."""

    def node_catalogue(self) -> NodeCatalogue:
        """Read the node classes, with the files they can use, from the running ComfyUI."""

    def model_files(self, kind: str, *, patience_seconds: float) -> Collection[str] | None:
        """The files of a kind of model; None for a kind that it does not know."""

    def has_class(self, class_type: str, *, patience_seconds: float) -> bool:
        """Whether it has a node class."""

    def workspace(self, job_id: str, prompt_id: str) -> Space:
        """A job's own place in its folders."""

    def execute(
        self,
        graph: Graph,
        *,
        prompt_id: str,
        cancel: CancellationToken,
        timeout_seconds: float,
        queue_timeout_seconds: float,
        on_progress: OnProgress | None,
        extra_data: Mapping[str, Any] | None,
        frames_folder: Path | None,
        needed_outputs: Collection[str],
        previews: bool,
        floor: float,
        order: int,
    ) -> Execution:
        """Queue the graph and wait for its end."""

    def collect(
        self,
        execution: Execution,
        declared: Sequence[Declared],
        folder: Path,
        *,
        originals: Mapping[str, str],
        previews: bool,
        cancel: CancellationToken,
    ) -> list[tuple[RawOutput, Path | None]]:
        """Fetch what the nodes made into the folder, in the order the outputs are declared; None for text."""
