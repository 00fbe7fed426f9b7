"""Files that a payload holds in itself: base64 and data URIs."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from engine.media.problems import FORMS_HINT, Rejected

_PIECE_CHARACTERS = 256 * 1024
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_=\s-]")
_URL_ALPHABET = str.maketrans("-_", "+/")


def could_be_base64(text: str) -> bool:
    """Whether a text has the characters of base64 alone: either alphabet, padding, white space."""
    return _NOT_BASE64.search(text) is None


def base64_chunks(text: str, start: int = 0) -> Iterator[bytes]:
    """Decodes base64 from a position on, piece by piece: a large value is not copied as a whole.

    Takes the standard and the URL alphabet, with and without padding, with line breaks anywhere.

    Raises:
        Rejected: it is none.
    """
    end = len(text)
    while end > start and (text[end - 1] == "=" or text[end - 1].isspace()):
        end -= 1
    rest = ""
    for position in range(start, end, _PIECE_CHARACTERS):
        piece = rest + "".join(text[position : min(position + _PIECE_CHARACTERS, end)].split())
        whole = len(piece) // 4 * 4
        rest = piece[whole:]
        yield _decoded(piece[:whole])
    if len(rest) == 1:
        raise Rejected("is cut off: its base64 ends within a byte")
    if rest:
        yield _decoded(rest + "=" * (4 - len(rest)))


def data_uri_chunks(text: str) -> Iterator[bytes]:
    """Decodes a data URI (RFC 2397). The media type it claims is not looked at: the bytes tell.

    Raises:
        Rejected: it is none.
    """
    head, comma, _ = text.partition(",")
    if not comma:
        raise Rejected("is a data URI without a comma; data:image/png;base64,… is one")
    start = len(head) + 1
    if head.lower().rstrip().endswith(";base64"):
        yield from base64_chunks(text, start)
        return
    try:
        yield unquote_to_bytes(text[start:])
    except UnicodeEncodeError:  # half of a character beyond U+FFFF, which JSON can write and UTF-8 can't
        raise Rejected("is a data URI that is not Unicode text (it has a lone surrogate)") from None


def _decoded(text: str) -> bytes:
    try:
        # strict_mode: without it, characters that are none of base64's are passed over in silence.
        return binascii.a2b_base64(text.translate(_URL_ALPHABET), strict_mode=True)
    except ValueError as error:
        raise Rejected("is neither a data URI nor base64", hint=FORMS_HINT) from error
