"""Files that callers send once and name in payloads afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Container, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from engine.documents import texts_in
from engine.errors import EngineError
from engine.local_queue import JobState, LocalQueue
from engine.media import tell
from engine.names import plain_name
from engine.server.context import ServerContext
from engine.server.folder import data_folder
from engine.server.problems import BodyTooLong
from engine.settings import Settings

UPLOADS = "uploads"
"""The folder's name, below API_FOLDER."""

_CHUNK_BYTES = 256 * 1024
_HASH_DIGITS = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}-[0-9a-f]{12}(\.[a-z0-9]{1,16})?")
_PART_SECONDS = 86_400.0  # what began to come so long ago is not going to be finished


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is kept.

    Attributes:
        name: what payloads call it.
        content_type: its media type, by its bytes.
        size_bytes: its length.
        width: in pixels, of pictures.
        height: likewise.
    """

    name: str
    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types; without what it lacks."""
        shown = {
            "name": self.name,
            "content_type": self.content_type,
            "size_bytes": self.size_bytes,
            "width": self.width,
            "height": self.height,
        }
        return {key: value for key, value in shown.items() if value is not None}


class Uploads:
    """Files that were sent, in a folder; `engine.media.KeptFiles` is the part of it that jobs see.

    The same bytes under the same name are one file. Above the bound the longest unused go, but for those in use. Safe
    to use from several threads, and from several objects on one folder.

    Args:
        folder: made when the first file comes; nobody else may look into it.
        settings: how large files may be, each and together.
        in_use: gives the names that jobs which wait or run hold; asked only when something must go.
    """

    def __init__(self, folder: Path, settings: Settings, in_use: Callable[[], Container[str]] = frozenset) -> None:
        self._folder = folder
        self._settings = settings
        self.in_use = in_use
        self._lock = threading.Lock()

    @property
    def most_bytes(self) -> int:
        """That one file may have, whatever it is."""
        bounds = self._settings
        largest = max(bounds.max_image_bytes, bounds.max_video_bytes, bounds.max_audio_bytes, bounds.max_file_bytes)
        return min(largest, bounds.api_uploads_bytes)

    def keep(self, file: BinaryIO, filename: str) -> Upload:
        """Keep a file.

        Args:
            file: read from where it stands to its end.
            filename: its own name; what is unsafe in it is replaced.

        Raises:
            InputRejected: it is empty, too large, or a picture that can't be used.
            BodyTooLong: it is larger than all files together may be.
            EngineError: it can't be written.
        """
        with self.receive() as part:
            while chunk := file.read(_CHUNK_BYTES):
                part.write(chunk)
            return part.finish(filename)

    @contextlib.contextmanager
    def receive(self) -> Iterator[Part]:
        """A file that comes bit by bit; what was not finished when the block ends is gone."""
        path = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            raise _not_kept(error) from error
        try:
            with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor has no path
                yield Part(self, opened, path, self.most_bytes)
        finally:
            path.unlink(missing_ok=True)

    def find(self, name: str) -> Path | None:
        """The file of that name, which counts as used now; None where there is none (any more)."""
        if not self.could_be_one(name):
            return None
        path = self._folder / name
        try:
            os.utime(path)
        except OSError:
            return None
        return path.absolute()

    def names(self) -> list[str]:
        """Every name, the latest used first."""
        return [path.name for _, _, path in reversed(self._files())]

    def could_be_one(self, name: str) -> bool:
        """Whether it looks like a name that was given out here."""
        return bool(_NAME.fullmatch(name))

    def take(self, path: Path, filename: str, sha256: str) -> Upload:
        """Keep a file that lies in the folder under another name; see `keep`."""
        pure = PurePath(filename.replace("\\", "/"))
        found = tell(path, shown_name(filename), self._settings)
        ending = re.sub(r"[^a-z0-9]", "", pure.suffix.lower())[:16]
        suffix = found.suffix or (f".{ending}" if ending else "")
        stem = plain_name(pure.stem if pure.suffix else pure.name, otherwise="file")[:60]
        name = f"{stem}-{sha256[:_HASH_DIGITS]}{suffix}"
        size = path.stat().st_size
        with self._lock:
            self._make_room(size, name)
            try:
                path.replace(self._folder / name)
            except OSError as error:
                raise _not_kept(error) from error
        return Upload(name, found.content_type, size, found.width, found.height)

    def _make_room(self, size_bytes: int, name: str) -> None:
        """Remove what was unused for longest until so much more has room."""
        files = [each for each in self._files() if each[2].name != name]
        excess = sum(size for _, size, _ in files) + size_bytes - self._settings.api_uploads_bytes
        if excess <= 0:
            return
        in_use = self.in_use()
        going = []
        for _, size, path in files:
            if excess > 0 and path.name not in in_use:
                going.append(path)
                excess -= size
        if excess > 0:
            raise EngineError(
                "there is no room for the file: jobs that wait or run hold all that are kept",
                hint="send it again once some are done, or set API_UPLOADS_BYTES higher",
                retryable=True,
            )
        for path in going:
            path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each was last used, its size and path; the longest unused first. What was left half goes."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    stat = entry.stat(follow_symlinks=False)
                    if _NAME.fullmatch(entry.name):
                        found.append((stat.st_mtime, stat.st_size, Path(entry.path)))
                    elif entry.name.endswith(".part") and time.time() - stat.st_mtime > _PART_SECONDS:
                        os.unlink(entry.path)  # noqa: PTH108 - of an entry
        return sorted(found)


class Part:
    """A file that comes bit by bit; of `Uploads.receive`."""

    def __init__(self, uploads: Uploads, file: BinaryIO, path: Path, most_bytes: int) -> None:
        self._uploads = uploads
        self._file = file
        self._path = path
        self._most_bytes = most_bytes
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            BodyTooLong: with them it is more than is taken.
            EngineError: they can't be written.
        """
        self._size += len(chunk)
        if self._size > self._most_bytes:
            raise BodyTooLong(f"the file has more than the {self._most_bytes} bytes that are taken")
        self._hash.update(chunk)
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _not_kept(error) from error

    def finish(self, filename: str) -> Upload:
        """Keep it under a name made of its own; see `Uploads.keep`."""
        self._file.close()
        return self._uploads.take(self._path, filename, self._hash.hexdigest())


def _not_kept(error: OSError) -> EngineError:
    return EngineError(
        f"the server could not keep the file: {error.strerror}",
        hint="the operator looks whether the disk of API_FOLDER has room and may be written to",
        detail=str(error),
    )


def uploads_of(context: ServerContext) -> Uploads:
    """The server's; what its jobs hold stays."""
    folder = data_folder(context.settings) / UPLOADS
    return Uploads(folder, context.settings, lambda: names_in_use(context.queue))


def names_in_use(queue: LocalQueue) -> AbstractSet[str]:
    """The texts of jobs that wait or run which could be names of files."""
    found: set[str] = set()
    before = ""
    while True:
        records, following = queue.history(states=(JobState.IN_QUEUE, JobState.IN_PROGRESS), before=before, limit=100)
        for record in records:
            found.update(text.strip() for text in texts_in(record.input) if len(text) < 1000)
        if following is None:
            return found
        before = following


def shown_name(filename: str) -> str:
    """A file's own name, for messages."""
    return PurePath(filename.replace("\\", "/")).name[-100:] or "the file"
