"""The snapshots in a folder, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.nodes import BUNDLED, INSTALLED
from engine.snapshots.lock import SUFFIX
from engine.wording import did_you_mean, listed

SNAPSHOTS = Path("snapshots") if INSTALLED else BUNDLED.parent
"""The folder that is looked into where no other is named: beside the engine, or of the working folder where the engine
is an installed package, whose own folder is nobody's to keep files in."""
NODES_SUFFIX = ".nodes.json.gz"
_EXPORTED = "_snapshot"  # as ComfyUI-Manager calls them: 2025-11-21_12-30-00_snapshot.json


@dataclass(frozen=True, slots=True)
class Shelved:
    """The files of one snapshot.

    Attributes:
        name: of the snapshot.
        folder: that it is in.
        files: the snapshot itself; two where it is there under both of its names, none where only its lock is there.
    """

    name: str
    folder: Path
    files: tuple[Path, ...] = ()

    @property
    def file(self) -> Path:
        """The snapshot, also where it is not there yet."""
        return self.files[0] if self.files else self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """What a ComfyUI with it provided; it may not be there."""
        return self.folder / f"{self.name}{SUFFIX}"

    @property
    def nodes(self) -> Path:
        """The node catalogue of that ComfyUI; it may not be there."""
        return self.folder / f"{self.name}{NODES_SUFFIX}"


def snapshots_in(folder: Path) -> dict[str, Shelved]:
    """The snapshots in a folder, by name and sorted by it; none where there is no such folder.

    A file `NAME.json` is one, and so is `NAME_snapshot.json`, as ComfyUI-Manager exports it. Locks without a snapshot
    are listed too.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):  # what a process that was killed had not renamed yet
            continue
        if path.name.endswith(SUFFIX):
            found.setdefault(path.name.removesuffix(SUFFIX), [])
        else:
            found.setdefault(named(path.name), []).append(path)
    return {name: Shelved(name, folder, tuple(files)) for name, files in sorted(found.items())}


def named(file: str) -> str:
    """The name of the snapshot that a file of this name is, or that somebody means who writes it so."""
    stem = file.removesuffix(".json")
    return stem.removesuffix(_EXPORTED) or stem


def shelved(name: str, folder: Path = SNAPSHOTS) -> Shelved:
    """The snapshot of that name.

    Args:
        name: of the snapshot, or of its file; with a folder before it, it is in that one.
        folder: that it is in otherwise.

    Raises:
        UsageError: there is none, or two.
    """
    if "/" in name:
        folder, name = Path(name).parent, Path(name).name
    known = snapshots_in(folder)
    found = known.get(name) or known.get(named(name))
    if found is None:
        there = f"it has {listed(known)}" if known else "it has none"
        raise UsageError(
            f"there is no snapshot {name} in {folder}{did_you_mean(name, known)}; {there}",
            hint="export one from ComfyUI-Manager into that folder, or make one: engine snapshot freeze --from URL",
        )
    if len(found.files) > 1:
        names = " and ".join(path.name for path in found.files)
        raise UsageError(f"the snapshot {found.name} is there twice, as {names}; keep one")
    return found
