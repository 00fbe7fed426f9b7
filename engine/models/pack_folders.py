"""Has node packs find the models that lie in other folders than ComfyUI's own.

ComfyUI looks in every folder that it is told of, and so do packs that ask it. Others put the path together themselves,
below ComfyUI's own `models/`, and download what they do not find there (ComfyUI-ReActor at 6ad6b35, ComfyUI-RMBG at
58f1947, ComfyUI_PuLID_Flux_ll at ba90657). So folders that ComfyUI itself has no use for are linked there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from engine.model_folders import is_for_packs, kinds_of, model_folders, own_models
from engine.models.linking import place_link
from engine.settings import Settings


class Shown(NamedTuple):
    """A folder or a file of models, and what became of it.

    Attributes:
        path: below `models/`: `insightface`, or `insightface/inswapper_128.onnx`.
        link: where it is linked, or should be.
        problem: why it is not; empty where it is.
    """

    path: str
    link: Path
    problem: str = ""


def show_to_packs(settings: Settings, *, only: str | None = None) -> list[Shown]:
    """Link what lies in other folders of models into ComfyUI's own, where a node pack looks for it.

    A folder that is not there, or is empty, becomes a link as a whole: what comes into it later is found as well. In
    one that has something, and where two folders of models have one of that name, what is missing is linked one by one.
    Nothing that is there is replaced but an empty folder, and a link that leads nowhere.

    Args:
        settings: of a ComfyUI that is ours to start; of any other nothing is done.
        only: the one folder to look at, by its name; all of them by default.

    Returns:
        What was linked now, or can't be.
    """
    own = own_models(settings)
    if own is None or settings.comfy_url:
        return []
    own = own.absolute()
    known = kinds_of(settings.comfy_home or own)
    sources: dict[str, list[Path]] = {}
    for folder in model_folders(settings):
        for name in _names(folder) if not _is_same(folder, own) else ():
            # MODELS_DIR may be a folder that has all kinds of things, be it ComfyUI.
            if only in (None, name) and _is_source(folder / name, own, known):
                sources.setdefault(name, []).append((folder / name).absolute())
    return [each for name, folders in sorted(sources.items()) for each in _shown(name, own / name, folders)]


def _is_source(folder: Path, own: Path, known: Collection[str]) -> bool:
    return (
        is_for_packs(folder.name, known)
        and os.path.isdir(folder)  # noqa: PTH112 - Path's own may raise
        and not own.resolve().is_relative_to(folder.resolve())
    )


def _shown(path: str, link: Path, sources: list[Path]) -> Iterator[Shown]:
    """Have one name found below the own folder that several others may have, the first of them first."""
    sources = [each for each in sources if not _is_same(each, link)]
    folders = [each for each in sources if os.path.isdir(each)]  # noqa: PTH112
    if not sources:
        return
    try:
        is_several = len(folders) > 1 and folders[0] == sources[0]
        if folders and not is_several and not link.is_symlink() and link.is_dir() and not any(link.iterdir()):
            link.rmdir()
        if not link.exists() and not is_several:
            place_link(_target(sources[0], link), link)
            yield Shown(path, link)
            return
        if not folders:
            return  # a file of that name is there: ComfyUI's own comes first
        link.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            return  # somebody's own: what is written there is not ours alone
    except OSError as error:
        if not os.path.exists(link):  # noqa: PTH110 - else another process was faster
            yield Shown(path, link, error.strerror or str(error))
            return
        if not os.path.isdir(link):  # noqa: PTH112
            yield Shown(path, link, f"{link} is in the way, and is no folder")
            return
    for name in sorted({name for folder in folders for name in _names(folder)}):
        having = [folder / name for folder in folders if os.path.exists(folder / name)]  # noqa: PTH110
        yield from _shown(f"{path}/{name}", link / name, having)


def _target(source: Path, link: Path) -> Path:
    """What a link says: a path from where it lies if both are in one place.

    A volume that has both is mounted at one place on a Pod and at another on a worker.
    """
    there, here = source.parent.resolve() / source.name, link.parent.resolve()
    if there.drive == here.drive and Path(os.path.commonpath([there, here])) != Path(here.anchor):
        return Path(os.path.relpath(there, here))
    return there


def _is_same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _names(folder: Path) -> list[str]:
    """What lies in a folder, without what a download leaves there while it goes on."""
    try:
        return sorted(each for each in os.listdir(folder) if not each.startswith("."))  # noqa: PTH208
    except OSError:
        return []
