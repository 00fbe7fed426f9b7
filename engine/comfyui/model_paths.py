"""Tells ComfyUI of the folders of models that are not its own.

ComfyUI 0.8.0 (utils/extra_config.py, folder_paths.py) takes files of YAML by `--extra-model-paths-config`: of each
section, a `base_path` and, by kind of model, the folders below it, one on each line. JSON is YAML too. A folder that
turns up later is seen, since it looks again each time it lists a kind.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from engine.model_folders import KINDS, OLD_NAMES, kind_of

_TABLE = "folder_names_and_paths"
_NOT_MODELS = {"custom_nodes", "datasets"}


def kinds_of(home: Path) -> set[str]:
    """The kinds of models that a ComfyUI knows, read in its own source; of one that can't be read, ours.

    Args:
        home: the folder of its `main.py`.
    """
    try:
        tree = ast.parse((home / "folder_paths.py").read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return set(KINDS)
    found = {
        target.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Name)
        and target.value.id == _TABLE
        and isinstance(target.slice, ast.Constant)
        and isinstance(target.slice.value, str)
    }
    return found - _NOT_MODELS or set(KINDS)


def model_paths(home: Path, folders: Iterable[Path]) -> dict[str, dict[str, str]]:
    """What ComfyUI is to be told.

    Args:
        home: the folder of its `main.py`.
        folders: each like ComfyUI's `models/`; the first that has a file gives it.

    Returns:
        A section for each folder. In it are all kinds that this ComfyUI knows, whether their folders are there yet or
        not, and whatever else lies there under its own name: node packs look for what is theirs by it.
    """
    known = kinds_of(home)
    sections = {}
    for number, folder in enumerate(folders, 1):
        below: dict[str, list[str]] = {kind: [kind] for kind in sorted(known)}
        for old, kind in OLD_NAMES.items():
            below.setdefault(kind, []).append(old)
        for name in _folders_in(folder):
            if kind_of(name) == name:
                below.setdefault(name, [name])
        sections[f"models_{number}"] = {
            "base_path": str(folder),
            **{kind: "\n".join(names) for kind, names in below.items()},
        }
    return sections


def write_model_paths(home: Path, folders: Iterable[Path], file: Path) -> list[str]:
    """Write the file, and give the arguments that name it; none where there is nothing to tell.

    Raises:
        OSError: it can't be written.
    """
    sections = model_paths(home, folders)
    if not sections:
        return []
    file.write_text(json.dumps(sections, indent=2), encoding="utf-8")
    return ["--extra-model-paths-config", str(file)]


def _folders_in(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    return []
