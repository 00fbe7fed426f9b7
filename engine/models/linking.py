"""Models that lie in a cache of Hugging Face's hub, made to be found by ComfyUI. Nothing is asked of the network."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.model_folders import places_of
from engine.models.hugging_face import cached, cached_sha256

log = logging.getLogger(__name__)


class Wanted(Protocol):
    """A model file that a map lists: a `ModelFile`, or anything with these."""

    @property
    def path(self) -> str:
        """As ComfyUI sees it: `checkpoints/sd15.safetensors`."""

    @property
    def url(self) -> str | None:
        """Where it is downloaded from."""

    @property
    def sha256(self) -> str | None:
        """Of its bytes, as hex."""

    @property
    def size_bytes(self) -> int | None:
        """How long it is."""


class Linked(NamedTuple):
    """A model that is in the cache.

    Attributes:
        path: as ComfyUI sees it.
        file: where it lies in the cache.
        link: what leads there, below the folder that was to hold it.
        problem: why there is no link after all; empty where there is one.
    """

    path: str
    file: Path
    link: Path
    problem: str = ""


def link_cached(required: Iterable[Wanted], folders: list[Path], cache: Path, into: Path) -> list[Linked]:
    """Link the models that are in no models folder, and in a cache of the hub.

    A file in the cache that is known to be another (by its size, or by the hash that the cache has of it) is not
    linked. Nothing that is there is replaced but a link that leads nowhere.

    Args:
        required: the models that the workflows list; one that several list is linked once.
        folders: each like ComfyUI's `models/`.
        cache: the folder that holds `models--ORG--NAME`.
        into: like ComfyUI's `models/`, made where it is missing; a symbolic link is made at `into/PATH`.

    Returns:
        What was linked, or could not be.
    """
    done: list[Linked] = []
    for path, model in {each.path: each for each in required}.items():
        if model.url is None or any(place.exists() for place in places_of(path, [*folders, into])):
            continue
        file = cached(model.url, cache)
        if file is None:
            continue
        linked = Linked(path, file, into / path, problem=_another(model, file))
        if not linked.problem:
            try:
                place_link(file, linked.link)
            except OSError as error:
                linked = linked._replace(problem=f"no link can be made: {error.strerror or error}")
        if linked.problem:
            log.warning("%s: %s is not used: %s", path, file, linked.problem)
        done.append(linked)
    return done


def place_link(target: Path, link: Path) -> None:
    """Make a symbolic link, its folder too; one that leads nowhere gives way.

    Raises:
        OSError: it can't be made; FileExistsError where something is there.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.exists():
        link.symlink_to(target)
        return
    # Made beside and moved: two that do this at once get in nobody's way.
    with tempfile.TemporaryDirectory(prefix=".link-", dir=link.parent) as beside:
        new = Path(beside) / link.name
        new.symlink_to(target)
        new.replace(link)


def _another(model: Wanted, file: Path) -> str:
    """Why the file can't be the one that is wanted, as far as that is known without reading it."""
    known = cached_sha256(file)
    if model.sha256 and known and known != model.sha256.lower():
        return f"its sha256 is {known}, the map says {model.sha256}"
    size = file.stat().st_size
    if model.size_bytes is not None and size != model.size_bytes:
        return f"it has {size} bytes, the map says {model.size_bytes}"
    return ""
