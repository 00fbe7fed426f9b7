"""Tells ComfyUI of the folders of models that are not its own.

ComfyUI 0.8.0 (utils/extra_config.py, folder_paths.py) takes files of YAML by `--extra-model-paths-config`: of each
section, by kind of model, the folders, one on each line. It expands variables in a `base_path` and not in these, so
they are whole paths. A folder that turns up later is seen, since it looks again each time it lists a kind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from engine.model_folders import NOT_MODELS, OLD_NAMES, kind_of, kinds_of

_WORDS_OF_A_SECTION = {"base_path", "is_default"}


def model_paths(home: Path, folders: Iterable[Path]) -> dict[str, dict[str, str]]:
    """What ComfyUI is to be told.

    Args:
        home: the folder of its `main.py`.
        folders: each like ComfyUI's `models/`; the first that has a file gives it.

    Returns:
        A section for each folder. In it are all kinds that this ComfyUI knows, whether their folders are there yet or
        not, and whatever else lies there under its own name: node packs look for what is theirs by it. But no node
        packs: those would be run.
    """
    known = kinds_of(home)
    sections = {}
    for number, each in enumerate(folders, 1):
        folder = each.absolute()  # ComfyUI runs in a folder of its own
        below: dict[str, list[str]] = {kind: [kind] for kind in sorted(known)}
        for old, kind in OLD_NAMES.items():
            below.setdefault(kind, []).append(old)
        for name in _folders_in(folder):
            if kind_of(name) == name and name not in NOT_MODELS | _WORDS_OF_A_SECTION:
                below.setdefault(name, [name])
        sections[f"models_{number}"] = {
            kind: "\n".join(str(folder / name) for name in names) for kind, names in below.items()
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
    lines = []
    for section, kinds in sections.items():
        lines += [f"{section}:", *(f"  {_quoted(kind)}: {_quoted(paths)}" for kind, paths in kinds.items())]
    file.write_text("\n".join([*lines, ""]), encoding="ascii")
    return ["--extra-model-paths-config", str(file)]


def _quoted(text: str) -> str:
    """A text as YAML has it, in quotation marks.

    Not as JSON has it: YAML takes the two halves of a character that JSON escapes as two for two characters.
    """
    plain = (each if " " <= each <= "~" and each not in '"\\' else f"\\U{ord(each):08x}" for each in text)
    return f'"{"".join(plain)}"'


def _folders_in(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    return []
