"""What an entry of `requires.models` may say: where the file goes, where it comes from, and how it is known."""

from __future__ import annotations

import re
import string
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

UNVERIFIED = "unverified"
"""What `source` says where nobody has looked up what the entry holds."""

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


def path_problem(path: str) -> str | None:
    """Why a path names no model file as ComfyUI sees it, kind first (`checkpoints/sd15.safetensors`); None if it does.

    It is joined to folders that files are written into, so it leads nowhere but below them.
    """
    if "\\" in path:
        return "is written with / and not with \\: checkpoints/sd15.safetensors"
    if path.startswith("/"):
        return "begins with /: it is below ComfyUI's models folder, kind first: checkpoints/sd15.safetensors"
    parts = path.split("/")
    if len(parts) < 2:
        return "names no kind: it is KIND/FILE, such as checkpoints/sd15.safetensors or loras/style.safetensors"
    if any(part.strip() in ("", ".", "..") for part in parts):
        return "has an empty part or one of dots: it leads nowhere but down, checkpoints/sd15.safetensors"
    if not path.isprintable():
        return "holds a character that can't be printed"
    return None


def url_problem(url: str, *, sha256: str | None) -> str | None:
    """Why a URL is none that a model is downloaded from; None if it is one.

    Args:
        url: of https; of http only where the hash tells whether what comes is the file.
        sha256: what the entry says of it.
    """
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0) and not _NOT_IN_URL.search(url)
    except ValueError:
        whole = False
    if not whole:
        return "is no URL; https://huggingface.co/ORG/NAME/resolve/main/FILE is one"
    if parts.scheme not in ("http", "https"):
        return f"must be an https URL, not {parts.scheme or 'one without a scheme'}"
    if parts.username or parts.password:
        return "holds a user or password, which a map is no place for; tokens are settings (HF_TOKEN, CIVITAI_TOKEN)"
    if parts.scheme == "http" and not sha256:
        return "is http, where anyone on the way can put another file in its place: use https, or give its sha256"
    return None


def checked_entry(entry: _Entry) -> _Entry:
    """An entry, whose parts are each as they should be.

    Raises:
        ValueError: nothing is downloaded from its URL.
    """
    url: str | None = getattr(entry, "url", None)
    if url is not None and (problem := url_problem(url, sha256=getattr(entry, "sha256", None))):
        raise ValueError(f"the url {problem}")
    return entry


def unsourced(entry: object) -> list[str]:
    """The facts that an entry states without a word on where they are known from: `url`, `sha256`, `size_bytes`.

    Args:
        entry: a `ModelFile`.
    """
    source = (getattr(entry, "source", None) or "").strip()
    if source and source.lower() != UNVERIFIED:
        return []
    return [name for name in ("url", "sha256", "size_bytes") if getattr(entry, name, None) is not None]


def _checked_path(path: str) -> str:
    if problem := path_problem(path):
        raise ValueError(f"the path {problem}")
    return path


def _checked_sha256(digest: str) -> str:
    if not _SHA256.fullmatch(digest):
        other = next((each for each in digest if each not in string.hexdigits), None)
        got = f"{len(digest)} characters" if other is None else f"{len(digest)} characters, one of them {other!r}"
        raise ValueError(f"a sha256 is 64 hex digits, 0-9 and a-f (got {got})")
    return digest.lower()


_Entry = TypeVar("_Entry")

ModelPath = Annotated[
    str, AfterValidator(_checked_path), WithJsonSchema({"type": "string", "pattern": r"^[^/\\]+(/[^/\\]+)+$"})
]
"""A path that names a model file as ComfyUI sees it."""

Sha256 = Annotated[
    str, AfterValidator(_checked_sha256), WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"})
]
"""A hash, kept in small letters: Civitai shows them in capitals."""
