"""From a media value in a payload to a checked file."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path, PurePath

from engine.errors import InputRejected
from engine.media import pictures, sniff
from engine.media.readers import Content, Reference, open_reference, rejected
from engine.results import InputFile

_LONGEST_NAME = 60

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


def read_input(
    parameter: str,
    kind: str,
    value: object,
    *,
    folder: Path,
    job_id: str,
    allow_files: bool,
    max_bytes: int,
    max_pixels: int,
) -> InputFile:
    """Reads what a media value refers to into a file and checks it.

    A value is a data URI, base64 (either alphabet, padding optional, line breaks ignored), or, where files
    are allowed, `@path` or a path. It is never echoed, neither in errors nor anywhere else.

    Args:
        parameter: the parameter's name, for messages.
        kind: `image`, `mask`, `video`, `audio` or `file`.
        value: as it was sent.
        folder: where the file is put; made if need be.
        job_id: the job's id; it begins the file's name.
        allow_files: whether the value may name a file of this machine; for the command line alone.
        max_bytes: the most bytes that it may have, decoded.
        max_pixels: the most pixels that a picture may have, all frames together.

    Returns:
        The file. Its type is told by its bytes, never by a name or a claim.

    Raises:
        InputUnavailable: what it names can't be had.
        InputRejected: it is not what the parameter takes. No file is left then.
    """
    if not isinstance(value, str):
        raise rejected(parameter, f"must be a string that holds or names a file, not {_json_type(value)}")
    if not value.strip():
        raise rejected(parameter, "is empty")
    content = open_reference(Reference(parameter, value.strip(), allow_files))
    stem = f"{_clean(job_id)}_{secrets.token_hex(4)}_{_clean(PurePath(content.filename).stem or parameter)}"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{stem}.part"
    try:
        size_bytes, sha256 = _write(content, part, parameter, max_bytes)
        content_type = _type_of(part, parameter, kind, content.filename)
        width, height = _checked_picture(part, parameter, kind, max_pixels)
        suffix = sniff.extension(content_type) or _clean_suffix(content.filename)
        path = part.rename(folder / f"{stem}{suffix}")
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return InputFile(
        parameter=parameter,
        path=path,
        filename=path.name,
        content_type=content_type,
        size_bytes=size_bytes,
        sha256=sha256,
        width=width,
        height=height,
    )


def _write(content: Content, path: Path, parameter: str, max_bytes: int) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        for chunk in content.chunks:
            size += len(chunk)
            if size > max_bytes:
                raise rejected(parameter, f"is larger than the {max_bytes} bytes that are allowed")
            digest.update(chunk)
            file.write(chunk)
    if not size:
        raise rejected(parameter, "is an empty file: it has no bytes")
    return size, digest.hexdigest()


def _type_of(path: Path, parameter: str, kind: str, filename: str) -> str:
    with path.open("rb") as file:
        found = sniff.content_type(file.read(sniff.HEAD_BYTES), filename)
    if not found.startswith(_KINDS[kind]):
        raise _wrong_kind(parameter, kind, found)
    return found


def _checked_picture(path: Path, parameter: str, kind: str, max_pixels: int) -> tuple[int | None, int | None]:
    if kind not in ("image", "mask"):
        return None, None
    try:
        return pictures.check(path, max_pixels=max_pixels)
    except pictures.PictureProblem as problem:
        raise rejected(parameter, str(problem), detail=repr(problem.__cause__)) from problem


def _wrong_kind(parameter: str, kind: str, found: str) -> InputRejected:
    what = "of no known type" if found == sniff.UNKNOWN else found
    return rejected(parameter, f"must be {_ARTICLES[kind]}, but the file is {what}")


def _clean(text: str) -> str:
    """ASCII that every file system and multipart form takes as it is.

    Brackets go too: ComfyUI reads `name [output]` as another folder's file (folder_paths.annotated_filepath).
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", text)[:_LONGEST_NAME].strip("_") or "file"


def _clean_suffix(filename: str) -> str:
    """The ending of a file whose bytes tell nothing, for nodes that go by it (`.safetensors`)."""
    suffix = re.sub(r"[^A-Za-z0-9]", "", PurePath(filename).suffix)[:16]
    return f".{suffix.lower()}" if suffix else ".bin"


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "an array", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), "something else")
