"""ComfyUI's folders, where they are on this machine's disk: files then go neither through HTTP nor through memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from engine.command_options import last_value
from engine.results import RawOutput


@dataclass(frozen=True, slots=True)
class SharedFolders:
    """The three folders that ComfyUI reads from and writes to.

    Attributes:
        input: where loader nodes look.
        output: where save nodes write.
        temp: where preview nodes write; ComfyUI makes it when it is needed.
    """

    input: Path
    output: Path
    temp: Path

    @classmethod
    def below(cls, base: Path) -> Self:
        """The folders of a ComfyUI whose base folder is that."""
        return cls(base / "input", base / "output", base / "temp")

    @classmethod
    def of_process(cls, home: Path, args: Sequence[str]) -> Self:
        """The folders of a ComfyUI that is installed in `home` and started with those arguments.

        ComfyUI 0.8, main.py: `--base-directory` moves all three, and each can be moved on its own; of
        `--temp-directory` it takes the folder `temp` below.
        """
        base = Path(last_value(args, "--base-directory") or ".")
        folders = cls.below(home / base)
        own = {name: last_value(args, f"--{name}-directory") for name in ("input", "output", "temp")}
        return cls(
            home / own["input"] if own["input"] else folders.input,
            home / own["output"] if own["output"] else folders.output,
            home / own["temp"] / "temp" if own["temp"] else folders.temp,
        )

    def file(self, output: RawOutput) -> Path | None:
        """The file of an output; None where it is not in these folders."""
        root = {"input": self.input, "output": self.output, "temp": self.temp}.get(output.type)
        if root is None:
            return None
        root = root.resolve()
        try:
            path = (root / output.subfolder / output.filename).resolve()
            # The name came over the network: only a file inside the folder is taken from it.
            return path if path.is_relative_to(root) and path.is_file() else None
        except (OSError, ValueError):  # a name that no file can have
            return None

    def place(self, source: Path, subfolder: str, filename: str) -> None:
        """Put a file into a folder below the input folder, without copying it where the file system can.

        Raises:
            OSError: there is no room, or no right to.
        """
        folder = self.input / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / filename
        try:
            os.link(source, target)
        except OSError:
            part = folder / f".{secrets.token_hex(8)}.part"
            try:
                shutil.copyfile(source, part)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
        target.chmod(0o644)  # ComfyUI may run under another user, and temporary files are their maker's alone

    def remove(self, subfolder: str, *roots: Path) -> None:
        """Remove a job's folder from the folders given; one that is not there is no failure."""
        for root in roots:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(root / subfolder)
