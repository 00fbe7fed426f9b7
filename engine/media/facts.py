"""What is worth knowing of a result beside its bytes: how long it lasts, how large it is, how many frames a second."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.containers import BrokenContainer, viewed, webp
from engine.media import animations, pictures

log = logging.getLogger(__name__)

# Pillow reads an AVIF whole before it tells its size (AvifImagePlugin.py).
_LONGEST_AVIF = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What could be told of a file; None for what could not, or does not apply.

    Attributes:
        width: in pixels, of pictures and videos.
        height: in pixels.
        duration_seconds: of videos, sounds and animated pictures.
        fps: frames in a second, of videos.
    """

    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    fps: float | None = None


def read(path: Path, content_type: str) -> Facts:
    """The facts of a file, by its headers. Never raises for what is in the file.

    Args:
        path: the file.
        content_type: its media type, which decides what reads it.
    """
    if content_type.startswith("image/"):
        width, height = size(path, content_type) or (None, None)
        return Facts(width, height, animations.duration_seconds(path, content_type))
    if content_type.startswith(("video/", "audio/")):
        return _by_mediainfo(path)
    return Facts()


def size(path: Path, content_type: str) -> tuple[int, int] | None:
    """Width and height of a picture in pixels; None if it can't be told. Never raises for what is in the file.

    However large the file, little of it is read.

    Args:
        path: the picture.
        content_type: its media type.
    """
    try:
        if content_type == "image/webp":
            # Pillow would read the file whole (WebPImagePlugin.py).
            with viewed(path) as data:
                return webp.size(data)
        if content_type == "image/avif" and path.stat().st_size > _LONGEST_AVIF:
            return None
    except (BrokenContainer, OSError):
        return None
    return pictures.size(path)


def _by_mediainfo(path: Path) -> Facts:
    """By MediaInfo, which reads every container and decodes nothing (https://mediaarea.net/en/MediaInfo)."""
    from pymediainfo import MediaInfo

    if not _mediainfo_loads():
        return Facts()
    try:
        tracks = MediaInfo.parse(path.resolve()).tracks
    except (OSError, RuntimeError, ValueError, SyntaxError):  # SyntaxError: its answer is XML, which is parsed
        log.debug("MediaInfo can't read a result", exc_info=True)
        return Facts()
    first: dict[str, Any] = {}
    for track in tracks:
        first.setdefault(track.track_type, track)
    video, sound, general = (first.get(kind) for kind in ("Video", "Audio", "General"))
    milliseconds = next(filter(None, (_number(track, "duration") for track in (general, video, sound))), None)
    width, height = _number(video, "width"), _number(video, "height")
    frames = _number(video, "frame_rate")
    return Facts(
        width=round(width) if width else None,
        height=round(height) if height else None,
        duration_seconds=round(milliseconds / 1000, 3) if milliseconds else None,
        fps=round(frames, 3) if frames else None,
    )


def _number(track: Any, name: str) -> float | None:
    """A positive number of a track; MediaInfo gives some as text, and some as several."""
    try:
        number = float(getattr(track, name, None) or 0)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


@functools.cache
def _mediainfo_loads() -> bool:
    """Whether MediaInfo's library, which comes with the package, loads on this machine."""
    from pymediainfo import MediaInfo

    loads = bool(MediaInfo.can_parse())
    if not loads:
        log.debug("MediaInfo's library does not load here: videos and sounds are described without their length")
    return loads
