"""`engine nodes`."""

from __future__ import annotations

from pathlib import Path

from engine.comfyui import ComfyUI
from engine.commands.output import print_note
from engine.nodes import BUNDLED


def refresh(url: str, out: Path | None) -> None:
    """Write the node catalogue of a running ComfyUI to a file."""
    comfy = ComfyUI(url)
    try:
        catalogue = comfy.node_catalogue()
    finally:
        comfy.close()
    path = out or BUNDLED
    catalogue.dump(path)
    files = len(catalogue.from_files)
    print_note(f"{path}: {len(catalogue)} node classes of ComfyUI {catalogue.version}, {files} lists made from files")
