"""Where checked files end up: in the job's folder, each under a name that tells what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from engine.media.checking import Checked, Received, unique_name
from engine.media.wanted import Wanted
from engine.results import InputFile


def placed(
    wanted: Sequence[Wanted],
    checked: Mapping[str, tuple[Received, Checked]],
    names: Mapping[str, str],
    folder: Path,
    job_id: str,
) -> dict[str, InputFile]:
    """Moves files to where they are used.

    Values that share a file share its path too, but for those that give it different names: a link for each further
    name. Where the disk has no links, all share the first one's.

    Args:
        wanted: the values.
        checked: for each `Wanted.where`, the file as it came and as it may be used.
        names: for each `Wanted.where` that gives one, the file's own name.
        folder: where the files are put, on the same disk.
        job_id: the job's; it begins the files' names.

    Returns:
        The files by `Wanted.where`, in the order of the values.
    """
    paths: dict[Path, dict[str, Path]] = {}
    # Those that give a name come first, so that the others share it.
    for each in sorted(wanted, key=lambda each: each.where not in names):
        received, file = checked[each.where]
        stem = PurePath(received.filename).stem or each.where
        of_file = paths.setdefault(file.path, {})
        if not of_file:
            of_file[stem] = file.path.rename(folder / unique_name(job_id, stem, file.suffix))
        elif stem not in of_file and each.where in names:
            first = next(iter(of_file.values()))
            of_file[stem] = _linked(first, folder / unique_name(job_id, stem, file.suffix))
    return {each.where: _described(each, checked[each.where], paths) for each in wanted}


def _linked(path: Path, other: Path) -> Path:
    try:
        os.link(path, other)
    except OSError:
        return path
    return other


def _described(
    wanted: Wanted, checked: tuple[Received, Checked], paths: Mapping[Path, Mapping[str, Path]]
) -> InputFile:
    received, file = checked
    of_file = paths[file.path]
    path = of_file.get(PurePath(received.filename).stem) or next(iter(of_file.values()))
    return InputFile(
        parameter=wanted.where,
        path=path,
        filename=path.name,
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        width=file.width,
        height=file.height,
    )
