"""The very file, there already under another name: found by its hash, and linked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.models.hugging_face import cached_sha256
from engine.models.presence import cached_file, may_be, sha256_of
from engine.models.required import RequiredModel


def same_file(
    model: RequiredModel, others: Iterable[Path], folders: list[Path], caches: list[Path], cancel: CancellationToken
) -> Path | None:
    """A file that is the one; one whose hash nobody has told is read to be sure.

    Args:
        model: what is wanted.
        others: places of files that other maps, or this one, say have the same hash.
        folders: each like ComfyUI's `models/`; files of the same size in them are looked at.
        caches: of Hugging Face's hub.
        cancel: ends the reading.

    Raises:
        Cancelled: it was ended.
    """
    if file := cached_file(model, caches):
        known = model.sha256 is None or cached_sha256(file) == model.sha256
        if known or _is(model, file, cancel):
            return file
    if model.sha256 is None:
        return None
    for cache in caches:
        for blob in cache.glob(f"*--*/blobs/{model.sha256}"):
            return blob
    seen: set[tuple[int, int]] = set()
    for file in (*others, *_of_the_size(model, folders)):
        try:
            state = file.stat()
        except OSError:  # it was there a moment ago
            continue
        if (state.st_dev, state.st_ino) not in seen and may_be(model, file) and _is(model, file, cancel):
            return file
        seen.add((state.st_dev, state.st_ino))
    return None


def link(file: Path, target: Path, into: Path, *, contained: bool) -> str:
    """Have a file under another name, without another copy of it.

    A hard link is best, as it stays when the other name is deleted. Where there can be none (another disk, another
    user's file, a file system without) it is a symbolic one, relative where both are below `into`.

    Args:
        file: that is there.
        target: the other name, whose folder is there; a link there that leads nowhere gives way.
        into: like ComfyUI's `models/`; the target is below it.
        contained: no symbolic link may lead out of `into`.

    Returns:
        What was made, in words; empty where nothing may be.

    Raises:
        OSError: no link can be made; FileExistsError where something is there.
    """
    if target.is_symlink() and not target.exists():
        target.unlink()
    with contextlib.suppress(OSError):
        target.hardlink_to(file.resolve())
        return "hard link"
    is_inside = file.resolve().is_relative_to(into.resolve())
    if contained and not is_inside:
        return ""
    target.symlink_to(os.path.relpath(file.resolve(), target.parent.resolve()) if is_inside else file.absolute())
    return "symbolic link"


def _is(model: RequiredModel, file: Path, cancel: CancellationToken) -> bool:
    try:
        return sha256_of(file, cancel) == model.sha256
    except OSError:
        return False


def _of_the_size(model: RequiredModel, folders: list[Path]) -> Iterator[Path]:
    if model.size_bytes is None:
        return
    for folder in folders:
        for above, _, names in os.walk(folder):
            for name in names:
                file = Path(above) / name
                try:
                    if not name.startswith(".") and file.is_file() and file.stat().st_size == model.size_bytes:
                        yield file
                except OSError:
                    continue
