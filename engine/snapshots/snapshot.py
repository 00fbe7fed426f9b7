"""A snapshot: the node packs of a ComfyUI, in the format of ComfyUI-Manager, which writes and restores it.

```json
{"comfyui": "COMMIT",
 "git_custom_nodes": {"https://github.com/cubiq/ComfyUI_IPAdapter_plus": {"hash": "COMMIT", "disabled": false}},
 "cnr_custom_nodes": {"comfyui-kjnodes": "1.1.9"},
 "file_custom_nodes": [{"filename": "websocket_image_save.py", "disabled": false}],
 "pips": {"numpy==2.3.4": ""}}
```

The shape was read off comfyui-manager 4.0.4 and 4.3 (`get_current_snapshot`). `cnr_custom_nodes` are of the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.documents import read_json
from engine.errors import InvalidMap, Problem
from engine.snapshots.folders import COMFYUIS_OWN
from engine.snapshots.lock import Lock, LockedComfyUI, LockedPack, differences, problem_of, same_pack
from engine.snapshots.repositories import name_of
from engine.wording import kind_of

_KEYS = frozenset({"git_custom_nodes", "cnr_custom_nodes", "file_custom_nodes"})
_MANAGER = "comfyui-manager"


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class GitPack(_Foreign):
    """A pack that is a clone.

    Attributes:
        hash: the commit.
        disabled: ComfyUI does not load it.
    """

    hash: str | None = None
    disabled: bool = False


class FilePack(_Foreign):
    """A pack that is one file.

    Attributes:
        filename: its name in `custom_nodes`.
        disabled: ComfyUI does not load it.
    """

    filename: str
    disabled: bool = False


class Snapshot(_Foreign):
    """What the file says.

    Attributes:
        comfyui: the commit of ComfyUI.
        git_custom_nodes: clones, by the URL that they are from.
        cnr_custom_nodes: packs of the registry, with their versions.
        file_custom_nodes: packs of one file.
        pips: the Python packages that there were.
    """

    comfyui: str | None = None
    git_custom_nodes: Mapping[str, GitPack] = Field(default_factory=dict)
    cnr_custom_nodes: Mapping[str, str] = Field(default_factory=dict)
    file_custom_nodes: tuple[FilePack, ...] = ()
    pips: Mapping[str, str] | None = None

    def packs(self) -> dict[str, LockedPack]:
        """The packs that ComfyUI loads, by the names that their folders are likely to have, without their classes.

        ComfyUI-Manager is left out, which nothing needs that runs workflows, and so is the file that is ComfyUI's own.
        """
        found: dict[str, LockedPack] = {}
        for url, pack in self.git_custom_nodes.items():
            if not pack.disabled and not is_manager(url):
                found[name_of(url)] = LockedPack(repository=url, commit=pack.hash)
        for identity, version in self.cnr_custom_nodes.items():
            if not is_manager(identity):
                found[identity] = LockedPack(version=version, registry=identity.lower())
        for file in self.file_custom_nodes:
            name = file.filename.removesuffix(".py")
            if not file.disabled and name != COMFYUIS_OWN:
                found[name] = LockedPack()
        return found


def is_manager(name: str) -> bool:
    """Whether a pack's name or URL is that of ComfyUI-Manager, which it leaves out itself when it restores."""
    return _MANAGER in name.lower()


def read_snapshot(path: Path) -> Snapshot:
    """Read the snapshot in a file.

    Raises:
        InvalidMap: it is not there or no snapshot; with every problem, each under its key.
    """
    return parse_snapshot(read_json(path, label=path.name), label=path.name)


def parse_snapshot(document: Any, *, label: str) -> Snapshot:
    """The snapshot in a document; see `read_snapshot`."""
    hint = "save it again in ComfyUI-Manager, or make it from a ComfyUI that runs: engine snapshot freeze --from URL"
    if not isinstance(document, dict) or not _KEYS & document.keys():
        said = kind_of(document) if not isinstance(document, dict) else "it has none of these keys"
        message = f"a snapshot of ComfyUI-Manager is an object with {', '.join(sorted(_KEYS))}: {said}"
        raise InvalidMap(problems=[Problem("", message, file=label)], hint=hint)
    try:
        return Snapshot.model_validate({key: value for key, value in document.items() if value is not None})
    except ValidationError as error:
        problems = [problem_of(each, label) for each in error.errors(include_url=False)]
        raise InvalidMap(problems=problems, hint=hint) from error


def wanted_by(snapshot: Snapshot, lock: Lock) -> Lock:
    """What a snapshot asks for, as a lock without classes; what it does not say of ComfyUI is as in the other lock."""
    return Lock(comfyui=LockedComfyUI(version=lock.comfyui.version, commit=snapshot.comfyui), packs=snapshot.packs())


def disagreements(snapshot: Snapshot, lock: Lock) -> list[str]:
    """Where a snapshot and its lock are not of the same packs, in words; none where they agree."""
    asked = snapshot.packs()
    said = differences(wanted_by(snapshot, lock), lock, source="the snapshot")
    more = [name for name, pack in lock.packs.items() if not same_pack(name, pack, asked) and not is_manager(name)]
    return said + [f"the lock has the pack {name}, the snapshot has not" for name in more]
