"""What a file is that somebody sent, before it is known for which parameter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputRejected, Problem
from engine.media import sniff
from engine.media.pictures import PictureProblem, decode, opened
from engine.media.problems import MediaProblem, Rejected, TooLarge
from engine.settings import Settings

_NO_PICTURES = frozenset({"image/svg+xml", "image/x-exr"})
"""Not read as pictures; a parameter that takes any file takes them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a file is.

    Attributes:
        content_type: its media type, by its bytes.
        suffix: how its name is to end, with its dot; empty where its bytes say nothing.
        width: in pixels, the way it is to be looked at; of pictures alone.
        height: likewise.
    """

    content_type: str
    suffix: str
    width: int | None = None
    height: int | None = None


def tell(path: Path, filename: str, settings: Settings) -> Told:
    """Look at a file as at one that a payload holds; it is left as it is.

    A picture is decoded completely. What a parameter asks for beyond that is looked at when a job uses the file.

    Args:
        path: the file.
        filename: its own name, for what its bytes can't tell.
        settings: the largest of each kind, and the most pixels of a picture.

    Raises:
        InputRejected: it is empty, too large, or a picture that can't be used.
    """
    try:
        return _told(path, filename, settings)
    except MediaProblem as problem:
        raise InputRejected(problems=[Problem(filename, problem.message)], hint=problem.hint) from problem


def _told(path: Path, filename: str, settings: Settings) -> Told:
    size = path.stat().st_size
    if not size:
        raise Rejected("is an empty file: it has no bytes")
    with path.open("rb") as file:
        found = sniff.content_type(file.read(sniff.HEAD_BYTES), filename)
    most = {
        "image": settings.max_image_bytes,
        "video": settings.max_video_bytes,
        "audio": settings.max_audio_bytes,
    }.get(found.partition("/")[0], settings.max_file_bytes)
    if size > most:
        raise TooLarge(most)
    suffix = sniff.extension(found) or ""
    if not found.startswith("image/") or found in _NO_PICTURES:
        return Told(found, suffix)
    try:
        with opened(path, max_pixels=settings.max_input_pixels) as picture:
            decoded = decode(picture, max_pixels=settings.max_input_pixels, animated=True)
    except PictureProblem as problem:
        raise Rejected(str(problem)) from problem
    return Told(found, suffix, decoded.width, decoded.height)
