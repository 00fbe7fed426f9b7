"""From a received file to a checked one: its kind by its bytes, a picture decoded, a name that is safe everywhere."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from engine.cancellation import CancellationToken
from engine.media import sniff
from engine.media.pictures import READ, PictureProblem
from engine.media.preparing import PictureBounds, prepare
from engine.media.problems import Rejected
from engine.names import plain_name

_CHUNK_BYTES = 1024 * 1024

# What ComfyUI's loaders take: LoadAudio lists videos too, for their sound (ComfyUI 0.8,
# comfy_extras/nodes_audio.py).
_KINDS = {
    "image": ("image/",),
    "mask": ("image/",),
    "video": ("video/",),
    "audio": ("audio/", "video/"),
    "file": ("",),
}

_ARTICLES = {"image": "an image", "mask": "a mask image", "video": "a video", "audio": "an audio file"}
_PICTURES = frozenset({"image", "mask"})
_OF_PICTURES = f"{', '.join(READ[:-1])} and {READ[-1]}"
_OF_SOUND = "WAV, FLAC, MP3, Ogg, Opus, M4A, AAC, AIFF, CAF, AMR, WMA and the sound of videos"
_OF_FILMS = "MP4, MOV, WebM, MKV, AVI, Ogg, FLV, WMV and MPEG"
_READ = {"image": _OF_PICTURES, "mask": _OF_PICTURES, "video": _OF_FILMS, "audio": _OF_SOUND}
_WEB_PAGE = re.compile(rb"<(!doctype html|html|head|body)[\s>]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Received:
    """A file as it came.

    Attributes:
        path: where it lies.
        filename: its own name; empty where it has none.
        size_bytes: its length.
        sha256: of its bytes, as hex.
    """

    path: Path
    filename: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is to be done with a file; two that are equal, of the same bytes, give one file.

    Attributes:
        content_type: what it is by its bytes.
        suffix: how its name is to end.
        is_picture: whether it is looked at as a picture.
        bounds: of the picture, as its parameter has them; None for those of the operator alone.
    """

    content_type: str
    suffix: str
    is_picture: bool
    bounds: PictureBounds | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may be used, still where it was received."""

    path: Path
    content_type: str
    suffix: str
    size_bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None


def preparation(received: Received, kind: str, bounds: PictureBounds | None) -> Preparation:
    """Looks at a file's first bytes.

    Args:
        received: the file.
        kind: `image`, `mask`, `video`, `audio` or `file`.
        bounds: of a picture.

    Raises:
        Rejected: it is empty, or of another kind.
    """
    if not received.size_bytes:
        raise Rejected("is an empty file: it has no bytes")
    with received.path.open("rb") as file:
        head = file.read(sniff.HEAD_BYTES)
    found = sniff.content_type(head, received.filename)
    if not found.startswith(_KINDS[kind]):
        raise Rejected(f"must be {_ARTICLES[kind]}, but the file is {_described(found, head)}; {_READ[kind]} are read")
    suffix = sniff.extension(found) or _clean_suffix(received.filename)
    is_picture = kind in _PICTURES
    return Preparation(found, suffix, is_picture, bounds if is_picture else None)


def check(
    received: Received, wanted: Preparation, max_pixels: int, tokens: Sequence[CancellationToken] = ()
) -> Checked:
    """Checks a file completely. It may be replaced by another beside it.

    Args:
        received: the file.
        wanted: what `preparation` said of it.
        max_pixels: the most pixels of a picture that the operator allows.
        tokens: any of them ends what takes long.

    Raises:
        Rejected: it is a picture that can't be used.
        Cancelled: the job was cancelled.
    """
    if not wanted.is_picture:
        return Checked(received.path, wanted.content_type, wanted.suffix, received.size_bytes, received.sha256)
    try:
        picture = prepare(received.path, wanted.bounds or PictureBounds(max_pixels), tokens)
    except PictureProblem as problem:
        raise Rejected(str(problem), detail=repr(problem.__cause__)) from problem
    size_bytes, sha256 = _measured(picture.path) if picture.changed else (received.size_bytes, received.sha256)
    suffix = sniff.extension(picture.content_type) or wanted.suffix
    return Checked(picture.path, picture.content_type, suffix, size_bytes, sha256, picture.width, picture.height)


def unique_name(job_id: str, stem: str, suffix: str) -> str:
    """A file's name to upload it under: of the job, unique, and recognisable.

    Args:
        job_id: the job's.
        stem: the file's own name without its ending, or the parameter's place.
        suffix: how it is to end, with its dot.
    """
    # Brackets go too: ComfyUI reads `name [output]` as another folder's file (folder_paths.annotated_filepath).
    job, own = (plain_name(text, otherwise="file") for text in (job_id, stem))
    return f"{job}_{secrets.token_hex(4)}_{own}{suffix}"


def _measured(path: Path) -> tuple[int, str]:
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def _described(found: str, head: bytes) -> str:
    # What a server shows in place of a file that has gone.
    if head.lstrip().startswith(b"<") and _WEB_PAGE.search(head):
        return "a web page (HTML)"
    return "of no known type" if found == sniff.UNKNOWN else found


def _clean_suffix(filename: str) -> str:
    """The ending of a file whose bytes tell nothing, for nodes that go by it (`.safetensors`)."""
    suffix = re.sub(r"[^A-Za-z0-9]", "", PurePath(filename).suffix)[:16]
    return f".{suffix.lower()}" if suffix else ".bin"
