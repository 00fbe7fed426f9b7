"""URLs and headers that a caller sends, checked before anything is asked of a server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from engine.media.problems import Rejected
from engine.wording import kind_of

_LONGEST_URL = 16 * 1024
_MOST_HEADERS = 32
_LONGEST_HEADERS = 16 * 1024
_LONGEST_FILENAME = 255
_LONGEST_DISPOSITION = 4096

# White space and control characters have no place in a URL; Python's parser drops some of them in silence, and other
# readers take a backslash for a slash.
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")

_TOKEN = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# They belong to the connection and not to the caller (RFC 9110, 7.6.1); two that disagree let one request pass for two.
_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be fetched.

    Raises:
        Rejected: it is none, or of another scheme than http and https. It is never echoed: it may be signed.
    """
    if len(url) > _LONGEST_URL:
        raise Rejected(f"is a URL of more than {_LONGEST_URL} characters")
    if _NOT_IN_URL.search(url):
        raise Rejected("is no URL: it holds white space, a control character or a backslash", hint="encode it as %20")
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise Rejected("is no URL that can be read; https://example.com/photo.png is one")
    if parts.scheme not in ("http", "https"):
        raise Rejected(f"must be an http or https URL, not {parts.scheme or 'one without a scheme'}")
    return parts


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: what a secret that is sent along is meant for."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def checked_headers(headers: Any) -> tuple[tuple[str, str], ...]:
    """The headers that a caller wants to be sent along, by name.

    Raises:
        Rejected: they are not names and texts, or they would reach into the connection itself. Values are never
            echoed: they are secrets.
    """
    if not isinstance(headers, Mapping):
        raise Rejected(f"`headers` must be an object of names and texts, not {kind_of(headers)}")
    if len(headers) > _MOST_HEADERS or sum(len(str(part)) for item in headers.items() for part in item) > (
        _LONGEST_HEADERS
    ):
        raise Rejected(f"`headers` may be at most {_MOST_HEADERS}, of {_LONGEST_HEADERS} characters together")
    checked = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.match(name) or name.endswith("\n"):
            raise Rejected("`headers` holds a name that no header can have")
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise Rejected(f"`headers` may not hold {name}: it belongs to the connection")
        if not isinstance(value, str):
            raise Rejected(f"`headers.{name[:60]}` must be a string, not {kind_of(value)}")
        if _CONTROL.search(value) or not _is_latin_1(value):
            raise Rejected(f"`headers.{name[:60]}` holds a line break or another character that no header can hold")
        checked[name.lower()] = (name, value.strip())
    return tuple(sorted(checked.values()))


def filename_of(parts: SplitResult, disposition: str) -> str:
    """A fetched file's own name: what the answer's `Content-Disposition` says, else the last part of the path."""
    named = _disposition_filename(disposition) or unquote(parts.path.rpartition("/")[2], errors="replace")
    return PurePosixPath(named.replace("\\", "/")).name[-_LONGEST_FILENAME:]


def _disposition_filename(disposition: str) -> str:
    from email.message import Message  # its reader knows the forms of RFC 2231: filename*=utf-8''…

    if not disposition:
        return ""
    message = Message()
    message["Content-Disposition"] = disposition[:_LONGEST_DISPOSITION]
    try:
        return message.get_filename("") or ""
    except (LookupError, ValueError):  # a character set that there is not
        return ""


def _is_latin_1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
