"""Results in a folder: for the command line and the local server."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from engine.cancellation import CancellationToken
from engine.delivery import Delivery, Naming
from engine.errors import Cancelled, StorageError
from engine.name_templates import numbered, result_names
from engine.names import clean_prefix, clean_segment
from engine.results import OutputFile, StoredOutput

# ComfyUI's own prefixes say nothing: `ComfyUI` is the default of SaveImage, and PreviewImage adds five
# random letters to it (ComfyUI 0.8, nodes.py).
_SAYS_NOTHING = re.compile(r"^ComfyUI_(temp_[a-z]{5}_)?")

# ComfyUI numbers what it saves as `prefix_00001_.png` (folder_paths.get_save_image_path).
_COUNTER = re.compile(r"^(?P<before>.*_)(?P<count>\d{5})_$")


# A disk that is full may have room later; a folder that is not ours stays so.
_PASSES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)


Link = Callable[[str, Path, str], str]
"""From a job's id, the file of a result and its media type to the link that opens it."""


class DirectoryStorage:
    """Copies results into a folder, as `txt2img_00001_.png` or as a request names them, and never overwrites a file.

    Args:
        folder: where to; made when the first result is stored. Results say their path as this was given:
            relative below a relative folder, absolute below an absolute one.
        link: gives each result a link beside its path; None for none.
    """

    name = "directory"

    def __init__(self, folder: Path | str, link: Link | None = None) -> None:
        self._folder = Path(folder)
        self._link = link

    def put(
        self,
        outputs: Sequence[OutputFile],
        *,
        naming: Naming,
        delivery: Delivery,
        cancel: CancellationToken | None = None,
    ) -> list[StoredOutput]:
        """Copies the results; see `Storage.put`.

        Raises:
            Cancelled: the job was cancelled. None of its files is left in the folder then, as with an error.
            StorageError: the folder can't be written to.
        """
        cancel = cancel or CancellationToken()
        written: list[Path] = []
        stored = []
        names = iter(_names([output for output in outputs if output.path is not None], naming, delivery))
        try:
            for output in outputs:
                if output.path is None:
                    stored.append(StoredOutput(output))
                    continue
                cancel.raise_if_cancelled()
                target = self._copy(output.path, next(names))
                written.append(target)
                link = self._link(naming.job_id, target, output.content_type) if self._link else None
                stored.append(StoredOutput(output, path=str(target), url=link))
        except Cancelled:
            _remove(written)
            raise
        except OSError as error:
            _remove(written)
            raise StorageError(
                f"the results could not be written to {self._folder}: {error.strerror or error}",
                hint="choose a folder that can be written to and has room",
                detail=str(error),
                retryable=error.errno in _PASSES,
            ) from error
        return stored

    def _copy(self, source: Path, name: str) -> Path:
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        # Copied into its file system and then renamed, so that nobody ever sees half a file.
        part = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            shutil.copyfile(source, part)
            target = self._reserve(name)
            try:
                part.replace(target)
            except OSError:
                target.unlink(missing_ok=True)
                raise
        finally:
            part.unlink(missing_ok=True)
        return target

    def _reserve(self, name: str) -> Path:
        """Takes a free name; making the file is what decides between two who want it."""
        attempt = self._first_try(name)
        while True:
            target = self._folder / next_name(name, attempt)
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                attempt += 1
            else:
                return target

    def _first_try(self, name: str) -> int:
        """The number of attempts to skip, found in some thirty looks among a million files.

        Each job of a workflow makes the same name, so that trying every number would look at all that lies there.
        Where numbers are missing this may find one of the gaps, never a name that is taken.
        """

        def taken(attempt: int) -> bool:
            return os.path.lexists(self._folder / next_name(name, attempt))

        if not taken(0):
            return 0
        low, high = 0, 1
        while taken(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if taken(middle) else (low, middle)
        return high


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _names(files: Sequence[OutputFile], naming: Naming, delivery: Delivery) -> list[str]:
    """What to call the results, below the folder; numbers come when the names are taken."""
    if delivery.filename is None:
        folders = [folder] if (folder := clean_prefix(delivery.prefix)) else []
        return ["/".join([*folders, file_name(file.filename, naming.workflow)]) for file in files]
    moment = datetime.now(UTC)
    return result_names(files, template=delivery.filename, prefix=delivery.prefix, naming=naming, moment=moment)


def file_name(filename: str, workflow: str) -> str:
    """A name that tells which workflow made the file.

    Args:
        filename: as ComfyUI named it (`ComfyUI_00001_.png`).
        workflow: the workflow's name.

    Returns:
        The name, cleaned (`txt2img_00001_.png`).
    """
    kept = _SAYS_NOTHING.sub("", filename)
    return clean_segment(kept if kept.startswith(workflow) else f"{workflow}_{kept}")


def next_name(name: str, attempt: int) -> str:
    """The name to try after so many were taken: ComfyUI's own counter goes up; without one, a number is added."""
    path = PurePosixPath(name)
    counter = _COUNTER.match(path.stem)
    if attempt and counter:
        return str(path.with_name(f"{counter['before']}{int(counter['count']) + attempt:05}_{path.suffix}"))
    return numbered(name, attempt + 1)
