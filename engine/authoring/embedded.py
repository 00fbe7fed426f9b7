"""Graphs that pictures, films and sounds carry: ComfyUI's nodes write what made a file into it.

Where they write them (ComfyUI 0.8, nodes.py, comfy_api/latest/_ui.py, comfy_extras/nodes_video.py and nodes_audio.py):
text chunks of PNG, the chunk `comf` of animated ones, the EXIF of WebP, tags of MP4, WebM, FLAC, Opus and MP3.
Each holds the graph twice: as it was queued (`prompt`, API format), and as the editor had it (`workflow`, UI format).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.containers import BrokenContainer, exif, jpeg, png, webp
from engine.errors import InvalidMap, Problem
from engine.wording import listed, shown

_NAMES = ("prompt", "workflow")

_LONGEST_TEXT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Carried:
    """What a file carries.

    Attributes:
        kind: of the file, for people: `PNG`.
        graphs: `prompt` and `workflow`, as JSON texts; those that are there.
        others: the names of other texts.
    """

    kind: str
    graphs: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def carried_by(data: bytes, *, label: str) -> Carried | None:
    """The graphs in a picture, film or sound. Only what stands beside its pixels and samples is read.

    Args:
        data: the file.
        label: how messages call it.

    Returns:
        None where it is none of those.

    Raises:
        InvalidMap: it carries no graph, or is broken before one comes.
    """
    kind = _kind(data)
    if not kind:
        return None
    broken = ""
    try:
        texts = _texts(kind, data)
    except _BreaksOff as error:
        texts, broken = error.texts, str(error)
    graphs = {name: texts[name] for name in _NAMES if name in texts}
    if not graphs:
        raise InvalidMap(problems=[Problem("", _nothing(kind, texts, broken), file=label)], hint=_HINT)
    return Carried(kind, graphs, tuple(name for name in texts if name not in _NAMES))


_HINT = (
    "take the file as ComfyUI saved it (messengers and websites remove what a picture carries), or export the "
    "graph: Workflow > Export (API)"
)


class _BreaksOff(Exception):
    """A file breaks off after what was read."""

    def __init__(self, texts: dict[str, str], why: str) -> None:
        self.texts = texts
        super().__init__(why)


def _kind(data: bytes) -> str:
    """What a file is, where ComfyUI writes graphs into such files; empty otherwise."""
    for start, kind in (
        (png.SIGNATURE, "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x1aE\xdf\xa3", "WebM"),
        (b"fLaC", "FLAC"),
        (b"OggS", "Ogg"),
        (b"ID3", "MP3"),
    ):
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return "AVIF" if data[8:12] in (b"avif", b"avis") else "MP4"
    return ""


def _texts(kind: str, data: bytes) -> dict[str, str]:
    if kind == "PNG":
        texts: dict[str, str] = {}
        try:
            for name, text in png.texts(data, _NAMES):
                if text is not None or name not in _NAMES:
                    texts.setdefault(name, text or "")
        except BrokenContainer as error:
            raise _BreaksOff(texts, str(error)) from error
        return texts
    if kind in ("WebP", "JPEG", "AVIF"):
        try:
            return _of_exif(_exif(kind, data))
        except BrokenContainer as error:
            raise _BreaksOff({}, str(error)) from error
    return _of_tags(data)


def _exif(kind: str, data: bytes) -> bytes:
    if kind == "AVIF":
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(data)) as picture:  # which decodes no pixel
                return exif.block(bytes(picture.info.get("exif") or b""))
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise BrokenContainer("can't be read") from error
    return webp.exif_of(data) if kind == "WebP" else jpeg.exif_of(data)


def _of_exif(block: bytes) -> dict[str, str]:
    """ComfyUI writes `prompt:{…}` and `workflow:{…}` into the tags of the camera's make and model, others elsewhere."""
    texts: dict[str, str] = {}
    for text in exif.texts(block).values():
        name, colon, rest = text.partition(":")
        if colon and name.lower() in _NAMES:
            texts.setdefault(name.lower(), rest)
    return texts


def _of_tags(data: bytes) -> dict[str, str]:
    from pymediainfo import MediaInfo

    try:
        found = MediaInfo.parse(io.BytesIO(data))
    except (OSError, RuntimeError, ValueError) as error:
        raise _BreaksOff({}, "can't be read") from error
    texts: dict[str, str] = {}
    for track in found.general_tracks:
        for name, value in track.to_data().items():
            if name.lower() in _NAMES and isinstance(value, str) and len(value) <= _LONGEST_TEXT:
                texts.setdefault(name.lower(), value)
    return texts


def _nothing(kind: str, texts: Mapping[str, str], broken: str) -> str:
    message = f"this {kind} file carries no graph"
    if broken:
        return f"{message}: it {broken}"
    if "parameters" in texts:
        return f"{message}; what it carries (parameters) was written by another program than ComfyUI"
    names = [name if name.isprintable() else shown(name) for name in sorted(texts)]
    return f"{message}; what it carries: {listed(names)}" if names else message
