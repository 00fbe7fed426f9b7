"""What WORKFLOWS_PATH names: folders and Git repositories, separated like PATH.

A repository is `https://HOST/OWNER/NAME`, then `@` and a branch, a tag or a commit, then `#` and a folder in it; the
last two may be left out, and `git+` before it does no harm. Pure: nothing is asked and nothing is looked for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_SEPARATOR = re.escape(os.pathsep)
_ADDRESS = rf"[A-Za-z][A-Za-z0-9+.-]+://[^/]*[^{_SEPARATOR}]*"  # up to the first slash a colon is a port's
_OF_SSH = rf"git@[^:/{_SEPARATOR}]+:[^{_SEPARATOR}]*"  # as hosts show it; refused, with the other form
_ENTRY = re.compile(rf"\s*(?:{_ADDRESS}|{_OF_SSH})|[^{_SEPARATOR}]+")
_BROWSER = re.compile(
    r"(?P<repository>/[^/]+/[^/]+)(?:/-)?/(?:tree|blob|src/branch)/(?P<ref>[^/]+)(?:/(?P<folder>.*))?"
)
_REF = re.compile(r"(?!-)(?!.*(?:\.\.|//|@\{))[^\s~^:?*\[\\\x00-\x20\x7f]{1,200}(?<![/.])")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORM = "https://HOST/OWNER/NAME, @REF and #FOLDER behind it where they are wanted"


@dataclass(frozen=True, slots=True)
class Repository:
    """A Git repository that WORKFLOWS_PATH names.

    Attributes:
        url: where it is, as it was written, without what follows.
        ref: a branch, a tag or a whole commit; empty for the branch that the host shows first.
        folder: the one that holds `templates/` and `schemas/`; empty for the repository itself.
    """

    url: str
    ref: str = ""
    folder: str = ""

    def __str__(self) -> str:
        return self.url + (f"@{self.ref}" if self.ref else "") + (f"#{self.folder}" if self.folder else "")

    @property
    def host(self) -> str:
        """In small letters, with the port where one is named: `git.example.com:8443`."""
        return urlsplit(self.url).netloc.lower()

    @property
    def is_commit(self) -> bool:
        """Whether it names a commit, which never changes."""
        return bool(_COMMIT.fullmatch(self.ref))


Entry = Path | Repository


def split_path(text: str) -> tuple[str, ...]:
    """The entries of a WORKFLOWS_PATH; the colons of an address separate nothing, and no blanks belong to it."""
    found = _ENTRY.findall(text)
    return tuple(each.strip() if _is_address(each.strip()) else each for each in found)


def entries_of(text: str) -> tuple[Entry, ...]:
    """What a WORKFLOWS_PATH names, in its order.

    Raises:
        ValueError: an address is none of a repository that can be had; with the form, or what was meant.
    """
    return tuple(parse_repository(entry) if _is_address(entry) else Path(entry) for entry in split_path(text))


def folders_named(text: str) -> tuple[Path, ...]:
    """The folders alone; whatever else is there is not looked at."""
    return tuple(Path(entry) for entry in split_path(text) if not _is_address(entry))


def parse_repository(text: str) -> Repository:
    """A repository of its address.

    Raises:
        ValueError: it is none, with what is wrong. What may be a password is not repeated.
    """
    if text.startswith(("git@", "ssh://", "git+ssh://")):
        raise ValueError(f"a repository is read over https, with WORKFLOWS_TOKEN where it is private: {_FORM}")
    address, _, folder = text.removeprefix("git+").partition("#")
    scheme, authority = address.partition("://")[0].lower(), address.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise ValueError("a repository's address holds no user and no password: a token goes into WORKFLOWS_TOKEN")
    url, _, ref = address.partition("@")
    parts = _split(url)
    if scheme != "https" and not (scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"a repository is read over https: {_FORM}")
    if seen := _BROWSER.fullmatch(parts.path):
        meant = Repository(
            f"{scheme}://{authority}{seen['repository']}", seen["ref"], (seen["folder"] or "").strip("/")
        )
        raise ValueError(f"that is the address of a page; the repository is {meant}")
    if not parts.hostname or len(parts.path.strip("/")) == 0 or parts.query:
        raise ValueError(f"names no repository: {_FORM}")
    if "@" in address and not _REF.fullmatch(ref):
        raise ValueError(f"what follows @ is a branch, a tag or a commit: {_FORM}")
    folder = folder.strip("/")
    if folder and any(part in ("", ".", "..") for part in folder.split("/")):
        raise ValueError("what follows # is a folder of the repository, such as #comfy/workflows")
    return Repository(url.rstrip("/"), ref, folder)


def _is_address(entry: str) -> bool:
    return "://" in entry or entry.startswith("git@")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is looked at no sooner
    except ValueError:
        raise ValueError(f"is no address: {_FORM}") from None
    return parts


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
