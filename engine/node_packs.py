"""Which node pack a node class comes with, as the locks of snapshots say it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from engine.errors import InvalidMap
from engine.snapshots.lock import SUFFIX, Lock, is_called, read_lock, same_pack
from engine.snapshots.shelf import SNAPSHOTS, Shelved
from engine.snapshots.snapshot import read_snapshot

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownPack:
    """A node pack that a lock has.

    Attributes:
        name: as ComfyUI calls it.
        repository: the URL that it is from; None where the lock does not know.
        snapshot: whose lock it is.
    """

    name: str
    repository: str | None = None
    snapshot: str = ""

    def __str__(self) -> str:
        """Its name, and where it is from."""
        return f"{self.name} ({self.repository})" if self.repository else self.name


@dataclass(frozen=True, slots=True)
class KnownPacks:
    """The node packs that locks have.

    Attributes:
        locks: by the name of their snapshot.
        chosen: the snapshot that workflows are to run with; empty where none was chosen.
        gone: the packs that the lock of the chosen one has and it itself has not: nothing restores them.
    """

    locks: Mapping[str, Lock] = field(default_factory=dict)
    chosen: str = ""
    gone: frozenset[str] = frozenset()

    def of_class(self, class_type: str) -> KnownPack | None:
        """The pack that has a node class, that of the chosen snapshot before all others; None where none has it."""
        for snapshot in sorted(self.locks, key=lambda name: name != self.chosen):
            lock = self.locks[snapshot]
            if name := lock.pack_of(class_type):
                return KnownPack(name, lock.packs[name].repository, snapshot)
        return None

    def named(self, pack: str) -> list[KnownPack]:
        """The packs of a name, as a map may write it (folder, registry or repository), in all of the locks."""
        return [
            KnownPack(name, found.repository, snapshot)
            for snapshot, lock in self.locks.items()
            for name, found in lock.packs.items()
            if is_called(pack, name, found)
        ]


def known_packs(folder: Path = SNAPSHOTS, chosen: Shelved | None = None) -> KnownPacks:
    """What the locks in a folder say.

    Args:
        folder: of the snapshots.
        chosen: the snapshot that workflows are to run with.

    Raises:
        InvalidMap: the chosen one or its lock can't be read. One that was not chosen takes nothing from anybody: what
            it says only makes messages better, and the log says what is wrong with it.
    """
    locks = {chosen.name: read_lock(chosen.lock)} if chosen else {}
    gone: set[str] = set()
    if chosen and chosen.files:
        asked = read_snapshot(chosen.file).packs()
        gone = {name for name, pack in locks[chosen.name].packs.items() if not same_pack(name, pack, asked)}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        name = path.name.removesuffix(SUFFIX)
        if name in locks or name.startswith("."):
            continue
        try:
            locks[name] = read_lock(path)
        except InvalidMap as error:
            log.warning("the snapshot is not used: %s", error)
    return KnownPacks(MappingProxyType(locks), chosen.name if chosen else "", frozenset(gone))


@lru_cache(maxsize=4)
def node_packs(folder: Path = SNAPSHOTS) -> Mapping[str, str]:
    """Node class to the name of its pack, of all snapshots in a folder, read once a process.

    Where two packs have a class, the first counts, in the order of the files' names and within them.
    """
    found: dict[str, str] = {}
    for lock in known_packs(folder).locks.values():
        for name, pack in lock.packs.items():
            for class_type in pack.classes:
                found.setdefault(class_type, name)
    return MappingProxyType(found)
