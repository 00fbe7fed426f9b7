"""What one job puts into ComfyUI's folders and leaves there: under names of its own, and removed in the end."""

from __future__ import annotations

import contextlib
import logging
import posixpath
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.comfyui.client import ComfyClient
from engine.comfyui.collect import raw_outputs
from engine.comfyui.folders import SharedFolders
from engine.errors import ComfyUnavailable, EngineError, NoOutputs, StorageError
from engine.graph import Graph, links
from engine.job_names import JOB_FOLDER, JOB_MARK, job_folder
from engine.results import Execution

log = logging.getLogger(__name__)

_ABANDONED_SECONDS = 24 * 3600.0
_HISTORY_SECONDS = 5.0
_CLOCK_SECONDS = 2.0  # a file system may keep times in whole seconds


class Workspace:
    """A job's own folder in ComfyUI's input, output and temp folders.

    A context manager: at its end, whatever the end was, the job's input files are gone, where ComfyUI's disk is
    ours. With `forget` its result files are gone as well, and its history entry soon is, save where the results could
    not be stored or something unforeseen happened: then they stay, for whoever looks after the machine.

    Args:
        client: of the ComfyUI.
        folders: its folders, where they are on this machine.
        job_id: names the folder.
        prompt_id: ComfyUI's id for the job.
        forget: has the history entry of a prompt removed; None keeps entries and result files.
    """

    def __init__(
        self,
        client: ComfyClient,
        folders: SharedFolders | None,
        job_id: str,
        prompt_id: str,
        *,
        forget: Callable[[str], None] | None,
    ) -> None:
        # A job that is run again gets another folder: what is left of the first run can't be taken for its own.
        self.folder = job_folder(job_id)
        self._client = client
        self._folders = folders
        self._forget = forget
        self._reported: Mapping[str, Any] | None = None
        self._prompt_id = prompt_id
        self._inputs = 0
        self._marked: set[str] = set()
        self._began_at = time.time()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        folders = self._folders
        if folders is not None:
            with _told("input files", self.folder):
                folders.remove(self.folder, folders.input)
        elif self._inputs:
            log.info(
                "%d input files stay in ComfyUI's input folder, below %s: it has no call to remove them, and its disk "
                "is not ours (COMFY_FOLDER says where it is)",
                self._inputs,
                self.folder,
            )
        kept = not isinstance(error, EngineError | KeyboardInterrupt | None)
        if isinstance(error, StorageError):
            kept = not error.results_kept
        if self._forget is not None and not kept:
            self._remove_results(self._forget, gone=isinstance(error, ComfyUnavailable))

    @property
    def keeps_inputs(self) -> bool:
        """Whether the job's input files stay: nothing can remove them where ComfyUI's disk is not ours."""
        return self._folders is None

    def add(self, path: Path, filename: str) -> str:
        """Put a file where loader nodes find it.

        Returns:
            What a loader node (`LoadImage.image`) takes.

        Raises:
            InputRejected: it is larger than this ComfyUI takes.
            ComfyUnavailable: ComfyUI does not answer, or its folder can't be written to.
        """
        self._inputs += 1
        if self._folders is None:
            return self._client.upload(path, filename=filename, subfolder=self.folder)
        try:
            self._folders.place(path, self.folder, filename)
        except OSError as error:
            raise ComfyUnavailable(
                f"an input file could not be put into ComfyUI's input folder: {error.strerror}",
                hint="the disk may be full, or the folder not ours to write to",
                detail=str(error),
            ) from error
        return f"{self.folder}/{filename}"

    def isolated(self, graph: Graph, *, anew: bool = False) -> Graph:
        """The graph with its results in the job's own folder, where they are to be removed.

        Args:
            graph: the rendered one.
            anew: let the output nodes run again in any case, where the file that ComfyUI named has gone.

        ComfyUI keeps what it ran last: an output node whose inputs are the same again writes no file, and names the
        one of before, which is gone by then. So each output node gets an input of this job alone: a `filename_prefix`
        below the job's folder, or, where the node has none, one that it does not know. ComfyUI (0.3.64, 0.8.0) keys
        its cache by every input of a node and hands a node only those that it declares. What comes before the output
        nodes stays cached.
        """
        if (self._folders is None or self._forget is None) and not anew:
            return graph
        linked = {link[0] for node in graph.values() for _, link in links(node)}
        isolated = {}
        for node_id, node in graph.items():
            inputs = node.get("inputs") or {}
            prefix = inputs.get("filename_prefix")
            if isinstance(prefix, str):
                # Through the root, so that no `..` leads out of the folder.
                inside = posixpath.normpath("/" + prefix.replace("\\", "/")).lstrip("/") or "ComfyUI"
                inputs = {**inputs, "filename_prefix": f"{self.folder}/{inside}"}
            elif node_id not in linked:
                inputs = {**inputs, JOB_MARK: self.folder}
                self._marked.add(node_id)
            isolated[node_id] = {**node, "inputs": inputs}
        return isolated

    def ran(self, execution: Execution) -> None:
        """Tell what came of the job, so that it is not asked for again when it is removed."""
        self._reported = execution.outputs

    def _remove_results(self, forget: Callable[[str], None], *, gone: bool) -> None:
        """Remove what the job left in ComfyUI. Never raises: the results are the caller's by now, or nobody's.

        Args:
            forget: has its history entry removed.
            gone: ComfyUI does not answer: it is not asked again.
        """
        folders = self._folders
        if folders is not None:
            with _told("results", self.folder):
                folders.remove(self.folder, folders.output, folders.temp)
        if gone:
            return
        if folders is not None and self._marked:
            self._remove_marked(self._outputs(), folders)
        forget(self._prompt_id)

    def _outputs(self) -> Mapping[str, Any]:
        """What the job's nodes reported, also where it failed."""
        if self._reported is not None:
            return self._reported
        try:
            entry = self._client.history(self._prompt_id, read_timeout=_HISTORY_SECONDS) or {}
        except ComfyUnavailable as error:
            log.warning("what prompt %s left beside its folder stays: %s", self._prompt_id, error)
            return {}
        return dict(entry.get("outputs") or {})

    def _remove_marked(self, outputs: Mapping[str, Any], folders: SharedFolders) -> None:
        """Remove what nodes named themselves (PreviewImage), beside the job's folder.

        Only files that were written while the job ran, by nodes that had to run for it, and that they name as files:
        a viewer (Preview3D, under `result`) names one that it only shows, and it may be anybody's.
        """
        for node_id in self._marked & outputs.keys():
            named = {key: value for key, value in outputs[node_id].items() if key != "result"}
            made = Execution(self._prompt_id, {node_id: named}, 0.0, 0.0)
            with contextlib.suppress(NoOutputs):
                for output in raw_outputs(made, [], previews=True):
                    path = folders.file(output) if output.type in {"output", "temp"} else None
                    if path is not None:
                        with _told("a result", output.filename):
                            if path.stat().st_mtime >= self._began_at - _CLOCK_SECONDS:
                                path.unlink()


def sweep(folders: SharedFolders, *, older_than_seconds: float = _ABANDONED_SECONDS) -> list[str]:
    """Remove the input and temp folders of jobs whose worker was killed before it could.

    Results stay: one that could not be stored is kept there on purpose.

    Args:
        folders: of the ComfyUI; other workers' jobs may use them as well, so that only old ones go.
        older_than_seconds: since anything was put into them.

    Returns:
        The names of those that were removed.
    """
    before = time.time() - older_than_seconds
    removed = []
    for root in (folders.input, folders.temp):
        with contextlib.suppress(OSError):
            for folder in sorted(root.iterdir()):
                if JOB_FOLDER.fullmatch(folder.name) and folder.is_dir() and folder.stat().st_mtime < before:
                    with _told("an abandoned job", folder.name):
                        folders.remove(folder.name, root)
                        removed.append(folder.name)
    return removed


def really_shared(client: ComfyClient, folders: SharedFolders) -> bool:
    """Whether a file that ComfyUI is sent turns up in the input folder; it is removed again.

    Raises:
        ComfyUnavailable: ComfyUI does not answer.
    """
    content = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as scratch:
        probe = Path(scratch) / "probe"
        probe.write_text(content)
        name = client.upload(probe, filename=f"engine_probe_{secrets.token_hex(4)}.txt")
    found = folders.input / name
    try:
        is_there = found.read_text() == content
        found.unlink()
    except OSError:
        return False
    return is_there


@contextlib.contextmanager
def _told(what: str, where: str) -> Iterator[None]:
    """What can't be removed is said in the log and stops nothing."""
    try:
        yield
    except OSError as error:
        log.warning("%s of %s could not be removed: %s", what, where, error.strerror or error)
