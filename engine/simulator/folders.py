"""The folders that ComfyUI reads from and writes to, with its rules for names (0.3.64 and 0.8.0)."""

from __future__ import annotations

import mimetypes
import os
import re
import time
from pathlib import Path

_ANNOTATION = re.compile(r"^(?P<name>.*?) ?\[(?P<kind>input|output|temp)\]$", re.DOTALL)


class OutsideFolderError(Exception):
    """A name leads out of the folder it belongs to."""


class Folders:
    """`input`, `output` and `temp` under one folder; they are made where missing."""

    def __init__(self, base: Path) -> None:
        # Real ones, since ComfyUI compares resolved paths to find out who climbs out of a folder.
        self.base = base = base.resolve()
        self.input, self.output, self.temp = base / "input", base / "output", base / "temp"
        for folder in (self.input, self.output, self.temp):
            folder.mkdir(parents=True, exist_ok=True)

    def of_type(self, kind: str) -> Path | None:
        """The folder of that type, None where there is no such type."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(kind)

    def annotated(self, name: str) -> tuple[str, Path | None]:
        """`picture.png [temp]` is `picture.png` in temp; None where the name says nothing."""
        found = _ANNOTATION.match(name)
        return (found["name"], self.of_type(found["kind"])) if found else (name, None)

    def input_file(self, name: str) -> Path:
        """Where a loader looks for a name: in input, unless the name says otherwise."""
        plain, folder = self.annotated(name)
        return (folder or self.input) / plain

    def files(self, folder: Path, media: str) -> list[str]:
        """The names in a folder whose ending says `image`, `video` or `audio`, sorted."""
        return sorted(
            path.name
            for path in folder.iterdir()
            if path.is_file() and (mimetypes.guess_type(path.name)[0] or "").startswith(f"{media}/")
        )

    def inside(self, folder: Path, *parts: str) -> Path:
        """The path of those parts under the folder.

        Raises:
            OutsideFolderError: it is not under the folder.
        """
        path = Path(os.path.abspath(folder.joinpath(*parts)))  # noqa: PTH100 -- resolve() would follow links
        if not path.is_relative_to(folder):
            raise OutsideFolderError(str(path))
        return path

    def next_place(self, folder: Path, prefix: str, size: tuple[int, int]) -> NextPlace:
        """Where a save node writes next.

        Args:
            folder: the folder of the node's type.
            prefix: its `filename_prefix`: a path with `/`, and placeholders such as `%width%` and `%year%`.
            size: width and height of the first picture.

        Raises:
            OutsideFolderError: the prefix leads out of the folder; said in ComfyUI's words.
        """
        path = os.path.normpath(_filled(prefix, size))
        subfolder, name = os.path.split(path)
        try:
            full = self.inside(folder, subfolder)
        except OutsideFolderError as error:
            raise OutsideFolderError(
                "**** ERROR: Saving image outside the output folder is not allowed."
                f"\n full_output_folder: {error}\n         output_dir: {folder}"
            ) from error
        full.mkdir(parents=True, exist_ok=True)
        taken = re.compile(re.escape(name) + r"_(\d+)(?:_|\.|$)")
        numbers = [int(found[1]) for entry in full.iterdir() if (found := taken.match(entry.name))]
        return NextPlace(full, subfolder, name, max(numbers, default=0) + 1)


class NextPlace:
    """The next free number of a prefix in a folder."""

    def __init__(self, folder: Path, subfolder: str, name: str, counter: int) -> None:
        self.folder, self.subfolder, self._name, self._counter = folder, subfolder, name, counter

    def take(self, index: int, ending: str = ".png") -> Path:
        """The path of the batch's picture of that index; every call counts on."""
        name = self._name.replace("%batch_num%", str(index))
        path = self.folder / f"{name}_{self._counter:05}_{ending}"
        self._counter += 1
        return path


def _filled(prefix: str, size: tuple[int, int]) -> str:
    now = time.localtime()
    values = {
        "width": str(size[0]),
        "height": str(size[1]),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda found: values.get(found[1], found[0]), prefix)
