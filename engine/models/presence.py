"""Which models are there, and where; and whether a file is the one that a map means."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from engine.cancellation import CancellationToken
from engine.model_folders import places_of
from engine.models.hugging_face import cached, cached_sha256
from engine.models.parts import CHUNK_BYTES
from engine.models.required import RequiredModel


def place_of(model: RequiredModel, folders: list[Path]) -> Path | None:
    """Where ComfyUI finds it; None where it is in no folder.

    A link that leads nowhere is not there, and neither is what lies in a folder that can't be looked into.
    """
    places = places_of(model.path, folders)
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113 - Path's own may raise


def cached_file(model: RequiredModel, caches: list[Path]) -> Path | None:
    """Where it lies in a cache of Hugging Face's hub, if what is there can be the file that is wanted."""
    if model.url is None:
        return None
    found = (cached(model.url, cache) for cache in caches)
    return next((file for file in found if file and may_be(model, file)), None)


def may_be(model: RequiredModel, file: Path) -> bool:
    """Whether the file can be the one, as far as that is told without reading it."""
    known = cached_sha256(file)
    if model.sha256 and known and known != model.sha256:
        return False
    try:
        return model.size_bytes is None or file.stat().st_size == model.size_bytes
    except OSError:
        return False


def sha256_of(file: Path, cancel: CancellationToken, told: Callable[[int], None] = lambda _: None) -> str:
    """The hash of a file's bytes.

    Args:
        file: to be read, all of it.
        cancel: ends it.
        told: is given the bytes that were read, as they grow.

    Raises:
        OSError: it can't be read.
        Cancelled: it was ended.
    """
    digest, size = hashlib.sha256(), 0
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(CHUNK_BYTES):
            cancel.raise_if_cancelled()
            digest.update(piece)
            size += len(piece)
            told(size)
    return digest.hexdigest()
