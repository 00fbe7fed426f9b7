"""What one job puts into ComfyUI's folders and leaves there: under names of its own, and removed in the end."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.comfyui.client import ComfyClient
from engine.comfyui.collect import raw_outputs
from engine.comfyui.folders import SharedFolders
from engine.errors import ComfyUnavailable, NoOutputs
from engine.graph import Graph, links
from engine.results import Execution

log = logging.getLogger(__name__)

_LONGEST_ID = 60
_MARK = "engine_job"


class Workspace:
    """A job's own folder in ComfyUI's input, output and temp folders.

    A context manager: at its end, whatever the end was, the job's input files are gone, where ComfyUI's disk is
    ours. Result files go when `forget` says that they are stored, or with a job that failed before it had any; those
    of a job whose results could not be stored stay.

    Args:
        client: of the ComfyUI.
        folders: its folders, where they are on this machine.
        job_id: names the folder.
        cleanup: whether result files and history entries are removed.
    """

    def __init__(self, client: ComfyClient, folders: SharedFolders | None, job_id: str, *, cleanup: bool) -> None:
        # A job that is run again gets another folder: what is left of the first run can't be taken for its own.
        clean = re.sub(r"[^A-Za-z0-9-]+", "_", job_id)[:_LONGEST_ID].strip("_") or "job"
        self.folder = f"{clean}_{secrets.token_hex(4)}"
        self._client = client
        self._folders = folders
        self._cleanup = cleanup
        self._inputs = 0
        self._executed = False
        self._marked: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        folders = self._folders
        if folders is not None:
            with _told("input files", self.folder):
                folders.remove(self.folder, folders.input)
            if self._cleanup and not self._executed:
                with _told("unfinished results", self.folder):
                    folders.remove(self.folder, folders.output, folders.temp)
        elif self._inputs:
            log.info(
                "%d input files stay in ComfyUI's input folder, below %s: it has no call to remove them, and its disk "
                "is not ours (COMFY_FOLDER says where it is)",
                self._inputs,
                self.folder,
            )

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

    def isolated(self, graph: Graph) -> Graph:
        """The graph with its results in the job's own folder, where they are to be removed.

        ComfyUI keeps what it ran last: an output node whose inputs are the same again writes no file, and names the
        one of before, which is gone by then. So each output node gets an input of this job alone: a `filename_prefix`
        below the job's folder, or, where the node has none, one that it does not know. ComfyUI (0.3.64, 0.8.0) keys
        its cache by every input of a node and hands a node only those that it declares. What comes before the output
        nodes stays cached.
        """
        if self._folders is None or not self._cleanup:
            return graph
        linked = {link[0] for node in graph.values() for _, link in links(node)}
        isolated = {}
        for node_id, node in graph.items():
            inputs = node.get("inputs") or {}
            prefix = inputs.get("filename_prefix")
            if isinstance(prefix, str):
                inputs = {**inputs, "filename_prefix": f"{self.folder}/{prefix.lstrip('/')}"}
            elif node_id not in linked:
                inputs = {**inputs, _MARK: self.folder}
                self._marked.add(node_id)
            isolated[node_id] = {**node, "inputs": inputs}
        return isolated

    def executed(self) -> None:
        """The job has results: from now on its files stay until they are stored."""
        self._executed = True

    def forget(self, execution: Execution) -> None:
        """Remove what the job left in ComfyUI, its results being stored: files where the disk is ours, and history.

        Never raises: the results are the caller's by now.
        """
        if not self._cleanup:
            return
        folders = self._folders
        if folders is not None:
            with _told("results", self.folder):
                folders.remove(self.folder, folders.output, folders.temp)
            self._remove_marked(execution, folders)
        try:
            self._client.delete_history(execution.prompt_id)
        except ComfyUnavailable as error:
            log.warning("the history entry of prompt %s stays: %s", execution.prompt_id, error)

    def _remove_marked(self, execution: Execution, folders: SharedFolders) -> None:
        """Remove what nodes named themselves (PreviewImage), beside the job's folder.

        Only nodes that had to run for this job: what a kept node reports may be an earlier run's, and somebody's own.
        """
        with contextlib.suppress(NoOutputs):
            for output in raw_outputs(execution, [], previews=True):
                if output.node_id in self._marked and output.type in {"output", "temp"}:
                    path = folders.file(output)
                    if path is not None:
                        with _told("a result", output.filename):
                            path.unlink(missing_ok=True)


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
