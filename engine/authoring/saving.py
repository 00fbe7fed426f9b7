"""Putting files into place, all of them or none."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from engine.errors import StorageError


def save_all(files: Mapping[Path, bytes]) -> None:
    """Write files, each whole, and all of them or none.

    Each is written beside its place and renamed to it. Where one can't be, or the keyboard stops it, the others are
    put back as they were. Folders are made where they are missing.

    Args:
        files: the content of each; what was there is replaced.

    Raises:
        StorageError: a folder can't be written to, or is full.
    """
    made: list[Path] = []
    parts: dict[Path, Path] = {}
    before: dict[Path, bytes | None] = {}
    try:
        for path, content in files.items():
            target = path.resolve()  # a link to a file stays one
            _make_folder(target.parent, made)
            parts[target] = target.parent / f".{target.name}.{uuid.uuid4().hex}.part"
            _write(parts[target], content, like=target)
        for target, part in parts.items():
            before[target] = target.read_bytes() if target.exists() else None
            part.replace(target)
    except BaseException as error:
        for target, content_before in before.items():
            _put_back(target, content_before)
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            where = error.filename or next(iter(files)).parent
            raise StorageError(
                f"{_without_part(str(where))}: can't be written: {error.strerror}; nothing was changed",
                hint="--folder DIR, or WORKFLOWS_PATH, names another folder; the last one of it is written to",
                retryable=False,
            ) from error
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
        made.append(each)


def _write(part: Path, content: bytes, *, like: Path) -> None:
    with part.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if like.exists():
        shutil.copymode(like, part)


def _put_back(target: Path, content: bytes | None) -> None:
    with contextlib.suppress(OSError):
        if content is None:
            target.unlink(missing_ok=True)
        elif target.read_bytes() != content:
            target.write_bytes(content)


def _without_part(name: str) -> str:
    """The name of the file that was meant, of the one that was written beside it."""
    path = Path(name)
    return str(path.parent / path.name[1:].rsplit(".", 2)[0]) if path.suffix == ".part" else name
