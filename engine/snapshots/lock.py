"""What a ComfyUI provides: its version, its node packs and their classes. Written down, it is the lock of a snapshot.

```json
{"format": 1,
 "comfyui": {"version": "0.8.0", "commit": null}, "python": "3.12.3", "pytorch": "2.8.0+cu128",
 "packs": {"ComfyUI_IPAdapter_plus": {"repository": "https://github.com/cubiq/ComfyUI_IPAdapter_plus",
                                      "commit": "a0f451a5113cf9becb0847b92884cb10cbdec0ef",
                                      "version": null, "registry": null,
                                      "classes": ["IPAdapter", "IPAdapterAdvanced"]}}}
```

A pack is called as ComfyUI calls it: `/object_info` says of a class that it is of `custom_nodes.PACK`, which is the
folder's name. What could not be known is null, and what is null on either side makes no difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.documents import read_json
from engine.errors import InvalidMap, Problem
from engine.nodes import NodeCatalogue
from engine.snapshots.folders import COMFYUIS_OWN, custom_nodes_folder, pack_folders, writable
from engine.snapshots.repositories import commit_of, name_of
from engine.wording import did_you_mean, kind_of, listed

SUFFIX = ".lock.json"
_OF_PACK = "custom_nodes."
_MOST_CLASSES = 8
_IN_JSON = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
    "tuple_type": "an array",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)


class LockedComfyUI(_Frozen):
    """ComfyUI itself.

    Attributes:
        version: as `/system_stats` says it: `0.8.0`.
        commit: of its clone, where it is one and on the machine that made the lock.
    """

    version: str
    commit: str | None = None


class LockedPack(_Frozen):
    """A node pack.

    Attributes:
        repository: the URL that it is from.
        commit: of its clone.
        version: of the registry, where it is from there.
        registry: its name there, which the folder's need not be.
        classes: the node classes that it gave, sorted; none where it has none or did not import.
    """

    repository: str | None = None
    commit: str | None = None
    version: str | None = None
    registry: str | None = None
    classes: tuple[str, ...] = Field((), strict=False)


class Lock(_Frozen):
    """What a ComfyUI provided.

    Attributes:
        format: of the file; 1.
        comfyui: ComfyUI itself.
        python: its version: `3.12.3`.
        pytorch: its version, with what it was built for: `2.8.0+cu128`.
        packs: the node packs by name.
    """

    format: Literal[1] = 1
    comfyui: LockedComfyUI
    python: str | None = None
    pytorch: str | None = None
    packs: Mapping[str, LockedPack] = Field(default_factory=dict)

    def pack_of(self, class_type: str) -> str | None:
        """The name of the pack that gave a node class; None where none did."""
        return next((name for name, pack in self.packs.items() if class_type in pack.classes), None)

    def text(self) -> str:
        """As the file has it; the same lock gives the same text."""
        document = self.model_dump(mode="json")
        document["packs"] = dict(sorted(document["packs"].items(), key=lambda each: each[0].lower()))
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_lock(path: Path) -> Lock:
    """Read the lock in a file.

    Args:
        path: of the file; messages call it by its name.

    Raises:
        InvalidMap: it is not there or no lock; with every problem, each under its key.
    """
    document = read_json(path, label=path.name)
    try:
        return Lock.model_validate(document)
    except ValidationError as error:
        problems = [problem_of(each, path.name) for each in error.errors(include_url=False)]
        hint = "make it again: engine snapshot freeze --from URL"
        raise InvalidMap(problems=problems, hint=hint) from error


def lock_of(nodes: NodeCatalogue | Mapping[str, Any], system_stats: Mapping[str, Any], home: Path | None) -> Lock:
    """What a running ComfyUI provides.

    Args:
        nodes: what its `/object_info` says, or the node catalogue made of it.
        system_stats: what its `/system_stats` says.
        home: where it is installed, if that is this machine: commits, versions and repositories are read there, and
            packs are found that gave no class. The folder of its packs is that of `--base-directory`, if it has one.
    """
    object_info: Mapping[str, Any] = nodes.object_info if isinstance(nodes, NodeCatalogue) else nodes
    classes: dict[str, list[str]] = {}
    for class_type, node in object_info.items():
        if pack := pack_of_module(node.get("python_module")):
            classes.setdefault(pack, []).append(class_type)
    packs = {name: LockedPack(classes=tuple(sorted(found))) for name, found in classes.items()}
    for folder in pack_folders(custom_nodes_folder(home, system_stats)) if home else ():
        if folder.disabled or folder.name == COMFYUIS_OWN:
            continue
        packs[folder.name] = LockedPack(
            repository=folder.repository,
            commit=folder.commit,
            version=folder.version,
            registry=folder.registry_id,
            classes=tuple(sorted(classes.get(folder.name, ()))),
        )
    system = system_stats.get("system", {})
    return Lock(
        comfyui=LockedComfyUI(
            version=str(system.get("comfyui_version", "unknown")), commit=commit_of(home) if home else None
        ),
        python=_first_word(system.get("python_version")),
        pytorch=_first_word(system.get("pytorch_version")),
        packs=packs,
    )


def pack_of_module(python_module: Any) -> str | None:
    """The pack that a class is of, by what `/object_info` says in `python_module`; None for ComfyUI's own."""
    module = python_module if isinstance(python_module, str) else ""
    pack = writable(module.removeprefix(_OF_PACK))
    return pack if pack and module.startswith(_OF_PACK) and pack != COMFYUIS_OWN else None


def differences(wanted: Lock, there: Lock, *, source: str = "the lock") -> list[str]:
    """What a ComfyUI lacks of a lock, in words; none where it has all of it.

    More than the lock has is no difference, and neither is what one side does not know. Python and PyTorch are none
    either: an image may have others than the machine that the lock was made on, and `notes` tells them.

    Args:
        wanted: the lock.
        there: what is live, or another lock.
        source: how the words call `wanted`.
    """
    return list(_differences(wanted, there, source))


def notes(wanted: Lock, there: Lock) -> list[str]:
    """What is another than in the lock and may well be so, in words."""
    said = []
    for name, ours, theirs in (
        ("Python", wanted.python, there.python),
        ("PyTorch", wanted.pytorch, there.pytorch),
    ):
        if ours and theirs and ours != theirs:
            said.append(f"{name} is {theirs}, the lock says {ours}")
    return said


def _differences(wanted: Lock, there: Lock, source: str) -> Iterator[str]:
    if wanted.comfyui.version != there.comfyui.version:
        yield f"ComfyUI is {there.comfyui.version}, {source} says {wanted.comfyui.version}"
    elif _differ(wanted.comfyui.commit, there.comfyui.commit):
        yield f"ComfyUI is at {short(there.comfyui.commit)}, {source} says {short(wanted.comfyui.commit)}"
    for name, pack in wanted.packs.items():
        found = there.packs.get(same_pack(name, pack, there.packs) or "")
        if found is None:
            yield f"the pack {name} is missing" + (f" ({pack.repository})" if pack.repository else "")
            continue
        if _differ(pack.commit, found.commit):
            yield f"{name} is at {short(found.commit)}, {source} says {short(pack.commit)}"
        if _differ(pack.version, found.version):
            yield f"{name} is {found.version}, {source} says {pack.version}"
        lacking = [each for each in pack.classes if each not in found.classes]
        if lacking and not found.classes:
            yield f"{name} gives none of its classes ({listed(lacking, most=_MOST_CLASSES)}): it was not imported"
        elif lacking:
            yield f"{name} lacks the classes {listed(lacking, most=_MOST_CLASSES)}"


def same_pack(name: str, pack: LockedPack, packs: Mapping[str, LockedPack]) -> str | None:
    """How a pack is called among others; None where it is not among them.

    Under its name, or else under another: of a folder, installers keep the name of the repository or write it small,
    and people give it a name of their own.
    """
    if name in packs:
        return name
    for other, found in packs.items():
        same_repository = pack.repository and found.repository and _plain(pack.repository) == _plain(found.repository)
        same_there = pack.registry and pack.registry == found.registry
        # Where the repository of one is not known, as in an image without clones, the folder has its name.
        alone = bool(pack.repository) != bool(found.repository)
        of_clone = alone and (same_name(cloned(pack, name), other) or same_name(cloned(found, other), name))
        if same_name(other, name) or same_repository or same_there or of_clone:
            return other
    return None


def is_called(text: str, name: str, pack: LockedPack) -> bool:
    """Whether a text names a pack: by its folder, by its name in the registry, or by that of its repository."""
    return any(same_name(text, each) for each in (name, pack.registry or name, cloned(pack, name)))


def cloned(pack: LockedPack, name: str) -> str:
    """The folder that a clone of a pack gets where nobody gives it another, or else the name that it has."""
    return name_of(pack.repository) if pack.repository else name


def same_name(one: str, other: str) -> bool:
    """Whether two names are those of one pack: `ComfyUI_Some_Pack` is `comfyui-some-pack` in the registry."""
    return one.lower().replace("_", "-") == other.lower().replace("_", "-")


def _plain(url: str) -> str:
    return re.sub(r"(\.git)?/*$", "", url.lower())


def _differ(wanted: str | None, there: str | None) -> bool:
    return wanted is not None and there is not None and wanted != there


def short(commit: str | None) -> str:
    """A commit as people know it."""
    return (commit or "")[:7]


def _first_word(value: Any) -> str | None:
    return value.split()[0] if isinstance(value, str) and value.split() else None


def problem_of(item: Mapping[str, Any], file: str) -> Problem:
    """What pydantic says is wrong in a file, in the words of JSON."""
    where = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).replace("Input should", "must", 1)
    if item["type"] in _IN_JSON:
        message = f"must be {_IN_JSON[item['type']]} (got {kind_of(item['input'])})"
    elif item["type"] == "missing":
        message = "is missing"
    elif item["type"] == "extra_forbidden":
        known = {"classes", "comfyui", "commit", "format", "packs", "python", "pytorch", "registry"}
        known |= {"repository", "version"}
        message = f"is no key of a lock{did_you_mean(str(item['loc'][-1]), known)}"
    elif where == "format":
        message = "must be 1; a later engine may read another"
    return Problem(where, message, file=file)
