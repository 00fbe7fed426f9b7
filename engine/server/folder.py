"""Where the local server keeps what outlives it: the queue, uploads, its secret."""

from __future__ import annotations

from pathlib import Path

from engine.settings import Settings
from engine.volume import lasting_folder


def data_folder(settings: Settings) -> Path:
    """API_FOLDER, or a folder on the volume or in the user's cache."""
    return settings.api_folder or lasting_folder("server", settings.volume_path)
