"""How a media value of a payload becomes bytes: a small registry of readers, asked in order.

One more way to refer to a file (a URL, an object in a bucket) is one more `Reader` in `READERS`: a test
whether a value is such a reference, and a function that opens it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from engine.errors import InputRejected, InputUnavailable, Problem

_CHUNK_BYTES = 256 * 1024
_HINT = "send the file as base64 or as a data URI"

# A path that long is none, and text that short is no picture.
_LONGEST_PATH = 1024
_SHORTEST_BASE64 = 32


@dataclass(frozen=True, slots=True)
class Reference:
    """A media value, and where it stands.

    Attributes:
        parameter: the parameter it is for.
        value: the text that was sent.
        allow_files: whether it may name a file of this machine.
    """

    parameter: str
    value: str
    allow_files: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What a reference leads to.

    Attributes:
        chunks: the bytes, in pieces; reading them may raise what `Reader.open` may.
        filename: its own name; empty where it has none.
    """

    chunks: Iterator[bytes]
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """One way to refer to a file.

    Attributes:
        name: for messages and logs.
        takes: whether a value is such a reference.
        open: opens it; raises InputUnavailable or InputRejected.
    """

    name: str
    takes: Callable[[Reference], bool]
    open: Callable[[Reference], Content]


def rejected(parameter: str, message: str, *, hint: str | None = None, detail: str | None = None) -> InputRejected:
    """The error for a file that is not what its parameter takes."""
    return InputRejected(problems=[Problem(parameter, message)], hint=hint, detail=detail)


def unavailable(
    parameter: str, message: str, *, hint: str | None = None, detail: str | None = None
) -> InputUnavailable:
    """The error for a file that can't be had."""
    return InputUnavailable(problems=[Problem(parameter, message)], hint=hint, detail=detail)


def open_reference(reference: Reference) -> Content:
    """Finds the reader for a value and opens it.

    Raises:
        InputUnavailable: what it names can't be had.
        InputRejected: it names nothing.
    """
    reader = next(reader for reader in READERS if reader.takes(reference))
    return reader.open(reference)


def _is_data_uri(reference: Reference) -> bool:
    return reference.value[:5].lower() == "data:"


def _open_data_uri(reference: Reference) -> Content:
    # RFC 2397. The media type it claims is not looked at: the bytes tell.
    head, comma, _ = reference.value.partition(",")
    if not comma:
        raise rejected(reference.parameter, "is a data URI without a comma; data:image/png;base64,… is one")
    start = len(head) + 1
    if head.lower().rstrip().endswith(";base64"):
        return Content(_decode(reference, start))
    return Content(iter([unquote_to_bytes(reference.value[start:])]))


_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")


def _is_url(reference: Reference) -> bool:
    return _SCHEME.match(reference.value) is not None


def _open_url(reference: Reference) -> Content:
    # Not echoed: a URL may be signed.
    raise unavailable(
        reference.parameter, "URLs are not supported yet; send the file as base64 or a data URI", hint=_HINT
    )


def _is_file(reference: Reference) -> bool:
    if reference.value.startswith("@"):
        return True
    if not reference.allow_files or len(reference.value) > _LONGEST_PATH:
        return False
    return (
        _exists(Path(reference.value))
        or len(reference.value) < _SHORTEST_BASE64
        or _NOT_BASE64.search(reference.value) is not None
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # base64 can be too long for a name; a path can't hold a null
        return False


def _open_file(reference: Reference) -> Content:
    if not reference.allow_files:
        raise unavailable(
            reference.parameter,
            "names a file of the machine it runs on, and that is not allowed here",
            hint=_HINT,
        )
    name = reference.value.removeprefix("@")
    path = Path(name).expanduser() if name.startswith("~/") else Path(name)
    if not _exists(path):
        raise unavailable(reference.parameter, f"{name}: no such file (looked in {Path.cwd()})")
    if path.is_dir():
        raise unavailable(reference.parameter, f"{name}: is a folder, not a file")
    if not path.is_file():
        raise unavailable(reference.parameter, f"{name}: is not a regular file")
    return Content(_file_chunks(reference, path, name), path.name)


def _file_chunks(reference: Reference, path: Path, name: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise unavailable(reference.parameter, f"{name}: can't be read: {error.strerror}", detail=str(error)) from error


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_=\s-]")
_URL_ALPHABET = str.maketrans("-_", "+/")


def _decode(reference: Reference, start: int = 0) -> Iterator[bytes]:
    """Decodes base64 from a position on, piece by piece: a large value is not copied as a whole.

    Takes the standard and the URL alphabet, with and without padding, with line breaks anywhere.
    """
    text = reference.value
    end = len(text)
    while end > start and (text[end - 1] == "=" or text[end - 1].isspace()):
        end -= 1
    rest = ""
    for position in range(start, end, _CHUNK_BYTES):
        piece = rest + "".join(text[position : min(position + _CHUNK_BYTES, end)].split())
        whole = len(piece) // 4 * 4
        rest = piece[whole:]
        yield _decoded(reference, piece[:whole])
    if len(rest) == 1:
        raise rejected(reference.parameter, "is cut off: its base64 ends within a byte")
    if rest:
        yield _decoded(reference, rest + "=" * (4 - len(rest)))


def _decoded(reference: Reference, text: str) -> bytes:
    try:
        # strict_mode: without it, characters that are none of base64's are passed over in silence.
        return binascii.a2b_base64(text.translate(_URL_ALPHABET), strict_mode=True)
    except ValueError as error:
        raise rejected(reference.parameter, "is neither a data URI nor base64", hint=_HINT) from error


def _open_base64(reference: Reference) -> Content:
    return Content(_decode(reference))


READERS = (
    Reader("data URI", _is_data_uri, _open_data_uri),
    Reader("URL", _is_url, _open_url),
    Reader("file", _is_file, _open_file),
    Reader("base64", lambda reference: True, _open_base64),  # noqa: ARG005 - whatever is left
)
