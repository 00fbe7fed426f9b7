"""What the folders of `custom_nodes` say of the node packs in them.

ComfyUI takes every folder there for a pack, and every `.py` file, but for those that end in `.disabled`
(`init_external_custom_nodes` of its `nodes.py`). How they came is known by what is in them: a clone of git has `.git`;
what was installed from the registry has `.tracking` beside its `pyproject.toml`, as ComfyUI-Manager leaves it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.command_options import last_value
from engine.snapshots.repositories import commit_of, remote_of

_DISABLED = ".disabled"
_NUMBERS = 3
COMFYUIS_OWN = "websocket_image_save"
"""The one file in `custom_nodes` that comes with ComfyUI itself."""


@dataclass(frozen=True, slots=True)
class PackFolder:
    """A node pack on the disk.

    Attributes:
        name: as ComfyUI says it: the folder's, or the file's without its suffix.
        path: the folder or the file.
        disabled: ComfyUI does not load it.
        repository: the URL that it is from, where it is a clone or its `pyproject.toml` says so.
        commit: that is checked out, for a clone.
        registry_id: its name in the registry, for a pack that is from there.
        version: of the registry, for such a pack.
    """

    name: str
    path: Path
    disabled: bool = False
    repository: str | None = None
    commit: str | None = None
    registry_id: str | None = None
    version: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is one file and no folder."""
        return self.path.suffix == ".py" or self.path.name.endswith(f".py{_DISABLED}")


def custom_nodes_folder(home: Path, system_stats: Mapping[str, Any]) -> Path:
    """Where a ComfyUI has its node packs: `custom_nodes` of its base folder, which an argument may say is another.

    Args:
        home: where it is installed.
        system_stats: what `/system_stats` says, with the arguments it was started with (`system.argv`).
    """
    arguments = _mapping(system_stats.get("system")).get("argv")
    return _base(home, arguments if isinstance(arguments, list) else ()) / "custom_nodes"


def _base(home: Path, arguments: Sequence[Any]) -> Path:
    return home / (last_value([str(each) for each in arguments], "--base-directory") or ".")


def pack_folders(custom_nodes: Path) -> Iterator[PackFolder]:
    """The node packs in a folder, those that are disabled too, by name.

    Args:
        custom_nodes: ComfyUI's folder; one that is not there has none.
    """
    found = sorted(custom_nodes.iterdir()) if custom_nodes.is_dir() else []
    # The Manager keeps packs that are disabled in a folder of this name.
    aside = custom_nodes / _DISABLED
    found += sorted(aside.iterdir()) if aside.is_dir() else []
    for path in found:
        disabled = path.name.endswith(_DISABLED) or path.parent == aside
        name = writable(path.name).removesuffix(_DISABLED)
        if path.is_dir() and name and name != "__pycache__":
            yield _pack(name, path, disabled)
        elif path.is_file() and name.endswith(".py"):
            yield PackFolder(name.removesuffix(".py"), path, disabled)


def writable(name: str) -> str:
    """The name of a file as text can have it: with `?` for what is not UTF-8 on the disk."""
    return name.encode(errors="replace").decode()


def _pack(name: str, path: Path, disabled: bool) -> PackFolder:
    project = _project(path)
    urls = _mapping(project.get("urls"))
    repository = urls.get("Repository") or urls.get("repository")
    if commit := commit_of(path):
        return PackFolder(name, path, disabled, remote_of(path), commit)
    said = repository if isinstance(repository, str) else None
    identity, version = project.get("name"), project.get("version")
    if (path / ".tracking").is_file() and isinstance(identity, str) and isinstance(version, str):
        return PackFolder(name, path, disabled, said, None, identity.strip().lower(), _whole(version))
    return PackFolder(name, path, disabled, said)


def _whole(version: str) -> str:
    """The version with all three numbers, as ComfyUI-Manager asks the registry for it: 2.5.0 where the file has 2.5."""
    numbers = version.strip().split(".")
    short = len(numbers) < _NUMBERS and all(number.isdecimal() for number in numbers)
    return ".".join([*numbers, *["0"] * (_NUMBERS - len(numbers))]) if short else version.strip()


def _project(path: Path) -> Mapping[str, Any]:
    """`[project]` of its `pyproject.toml`; empty where it has none that can be read."""
    try:
        return _mapping(tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8")).get("project"))
    except (OSError, ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
