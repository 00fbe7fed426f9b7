"""Makes a snapshot, its lock and its node catalogue of what a live ComfyUI says, and of its folders."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import StorageError
from engine.nodes import NodeCatalogue
from engine.snapshots.folders import COMFYUIS_OWN, PackFolder, custom_nodes_folder, pack_folders, writable
from engine.snapshots.lock import Lock, LockedPack, lock_of, same_pack, short
from engine.snapshots.repositories import changed_files
from engine.snapshots.shelf import Shelved
from engine.snapshots.snapshot import Snapshot, is_manager, parse_snapshot
from engine.wording import listed

_UNKNOWN_ORIGIN = (
    "start that ComfyUI with --enable-manager, or run this on its machine with --home DIR, where DIR is its folder"
)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was made.

    Attributes:
        snapshot: as it is written, in ComfyUI-Manager's format.
        lock: what the ComfyUI provided.
        nodes: its node catalogue.
        warnings: what could not be known, or will not be restored, each with what to do.
    """

    snapshot: dict[str, Any]
    lock: Lock
    nodes: NodeCatalogue
    warnings: tuple[str, ...] = field(default=())


def freeze(
    nodes: NodeCatalogue,
    system_stats: Mapping[str, Any],
    *,
    managers: Mapping[str, Any] | None = None,
    home: Path | None = None,
) -> Frozen:
    """Write down what a ComfyUI is made of.

    Args:
        nodes: its node catalogue, just read.
        system_stats: what its `/system_stats` says.
        managers: the snapshot that its ComfyUI-Manager gives, where it runs.
        home: where it is installed, if that is this machine. Its folders say more than the Manager does.

    Raises:
        InvalidMap: what the Manager gives is no snapshot.
    """
    folders = list(pack_folders(custom_nodes_folder(home, system_stats))) if home else []
    lock = lock_of(nodes, system_stats, home)
    if managers is None:
        document = _from_folders(lock, folders)
    else:
        document = dict(managers)
        lock = _completed(lock, parse_snapshot(document, label="what ComfyUI-Manager says"))
    lock = lock.model_copy(update={"packs": {name: pack for name, pack in lock.packs.items() if not is_manager(name)}})
    warnings = tuple(_warnings(lock, folders, home))
    return Frozen(document, lock, nodes, warnings)


def changes(before: Lock, after: Lock) -> list[str]:
    """What is another in the second lock, in words; none where they are of the same."""
    return list(_changes(before, after))


def write(frozen: Frozen, place: Shelved, *, keep_snapshot: bool) -> list[Path]:
    """Write the files of a snapshot, all of them or none.

    Args:
        frozen: what was made.
        place: where they go.
        keep_snapshot: the snapshot that is there stays as it is; only lock and catalogue are written.

    Returns:
        The files.

    Raises:
        StorageError: the folder can't be written to; then all is as it was.
    """
    writers = {
        place.lock: lambda path: path.write_text(frozen.lock.text(), encoding="utf-8"),
        place.nodes: frozen.nodes.dump,
    }
    if not keep_snapshot:
        text = json.dumps(frozen.snapshot, indent=4, ensure_ascii=False) + "\n"
        writers = {place.file: lambda path: path.write_text(text, encoding="utf-8"), **writers}
    before: dict[Path, bytes | None] = {}
    # The suffixes stay: the catalogue is compressed where its name says so.
    made = {path: path.with_name(f".new-{os.getpid()}-{path.name}") for path in writers}
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        for path, dump in writers.items():
            dump(made[path])
        for path, new in made.items():
            before[path] = path.read_bytes() if path.exists() else None
            new.replace(path)
    except BaseException as error:  # somebody who interrupts it leaves no half of a snapshot either
        for path, was in before.items():
            with contextlib.suppress(OSError):
                path.unlink() if was is None else path.write_bytes(was)
        if not isinstance(error, OSError):
            raise
        raise StorageError(
            f"the snapshot can't be written into {place.folder}: {error.strerror}",
            hint="nothing was changed; name a folder that can be written to: --folder DIR",
        ) from error
    finally:
        for new in made.values():
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
    return list(writers)


def _from_folders(lock: Lock, folders: list[PackFolder]) -> dict[str, Any]:
    """The snapshot as ComfyUI-Manager would have written it."""
    git: dict[str, Any] = {}
    registry: dict[str, str] = {}
    files: list[dict[str, Any]] = []
    # Of two clones of one repository, one of them put aside, the one that ComfyUI loads is the one to restore.
    for pack in sorted(folders, key=lambda each: not each.disabled):
        if pack.is_file and pack.name == COMFYUIS_OWN:
            continue
        if pack.is_file:
            files.append({"filename": writable(pack.path.name), "disabled": pack.disabled})
        elif is_manager(pack.name):
            continue
        elif pack.commit and pack.repository:
            git[pack.repository] = {"hash": pack.commit, "disabled": pack.disabled}
        elif pack.registry_id and pack.version and not pack.disabled:
            registry[pack.registry_id] = pack.version
    return {
        "comfyui": lock.comfyui.commit,
        "git_custom_nodes": git,
        "cnr_custom_nodes": registry,
        "file_custom_nodes": files,
        "pips": {},
    }


def _completed(lock: Lock, managers: Snapshot) -> Lock:
    """The lock, with what only the Manager knows: repositories, commits and versions."""
    known = managers.packs()
    packs: dict[str, LockedPack] = {}
    for name, pack in lock.packs.items():
        said = known.get(same_pack(name, pack, known) or "")
        more = {
            key: getattr(said, key)
            for key in ("repository", "commit", "version", "registry")
            if said and getattr(pack, key) is None and getattr(said, key) not in (None, "unknown")
        }
        packs[name] = pack.model_copy(update=more)
    # Those that gave no class are not seen from outside.
    packs |= {name: pack for name, pack in known.items() if not same_pack(name, pack, packs)}
    comfyui = lock.comfyui
    if comfyui.commit is None:
        comfyui = comfyui.model_copy(update={"commit": managers.comfyui})
    return lock.model_copy(update={"packs": packs, "comfyui": comfyui})


def _warnings(lock: Lock, folders: list[PackFolder], home: Path | None) -> Iterator[str]:
    if lock.comfyui.commit is None:
        yield f"ComfyUI: its commit is not known; its version counts, {lock.comfyui.version}"
    by_name = {folder.name: folder for folder in folders if not folder.disabled}
    for name, pack in lock.packs.items():
        folder = by_name.get(name)
        if home and folder is None:
            yield f"{name}: it is not among the packs of {home}; is that the folder of this ComfyUI?"
        if folder and folder.is_file:
            yield f"{name}: one file, which nothing restores; put {name}.py beside the snapshot as well"
        elif not (pack.commit and pack.repository) and not pack.version:
            if folder is None:
                yield f"{name}: where it is from is not known; {_UNKNOWN_ORIGIN}"
            elif pack.commit:
                yield f"{name}: its clone has no remote, so nobody can restore it; git remote add origin URL"
            else:
                yield f"{name}: neither a clone nor of the registry, so nobody can restore it; clone it with git"
        elif folder and (changed := changed_files(folder.path)):
            yield f"{name}: changed since its commit {short(pack.commit)} ({listed(changed, most=3)}); commit and push"
        if not pack.classes:
            yield f"{name}: it gave no class: either it has none, or it was not imported; ComfyUI's log says which"
    for folder in folders:
        if folder.disabled and not is_manager(folder.name) and folder.name != COMFYUIS_OWN:
            yield f"{folder.name}: it is disabled, and will not be restored"


def _changes(before: Lock, after: Lock) -> Iterator[str]:
    for name, old, new in (
        ("ComfyUI", before.comfyui.version, after.comfyui.version),
        ("the commit of ComfyUI", short(before.comfyui.commit), short(after.comfyui.commit)),
        ("Python", before.python, after.python),
        ("PyTorch", before.pytorch, after.pytorch),
    ):
        if old != new:
            yield f"{name}: {old or 'not known'} -> {new or 'not known'}"
    for name, pack in before.packs.items():
        if name not in after.packs:
            yield f"the pack {name} goes"
            continue
        now = after.packs[name]
        for key in ("repository", "commit", "version"):
            old, new = getattr(pack, key), getattr(now, key)
            if old != new:
                yield f"{name}: {key} {old or 'not known'} -> {new or 'not known'}"
        if lost := [each for each in pack.classes if each not in now.classes]:
            yield f"{name}: without the classes {listed(lost)}"
        if won := [each for each in now.classes if each not in pack.classes]:
            yield f"{name}: with the classes {listed(won)}"
    for name in after.packs:
        if name not in before.packs:
            yield f"the pack {name} comes"
